# Binary packages by CPack: .deb and .rpm, in two halves each: the daemon, and the NSS modules, which
# do without it. contrib/package.sh says how they are built. What makes them the same bytes each time:
# -ffile-prefix-map, SOURCE_DATE_EPOCH, and finish.cmake, which sets all times to it.

set(packaging ${CMAKE_CURRENT_LIST_DIR})
set(epoch $ENV{SOURCE_DATE_EPOCH})
if(NOT epoch)
	message(FATAL_ERROR "SOURCE_DATE_EPOCH is not set: build packages by contrib/package.sh")
endif()
if(NOT CMAKE_INSTALL_PREFIX STREQUAL "/usr")
	message(FATAL_ERROR "CMAKE_INSTALL_PREFIX of a package is /usr")
endif()

# The last that fits counts: the build directory may lie below the sources.
target_compile_options(leasedns_flags INTERFACE
	-ffile-prefix-map=${PROJECT_SOURCE_DIR}=. -ffile-prefix-map=${CMAKE_BINARY_DIR}=build)

# leasedns_install_gz(SOURCE DIRECTORY NAME COMPONENT): the file as NAME.gz, the same bytes always.
function(leasedns_install_gz source directory name component)
	set(made ${CMAKE_CURRENT_BINARY_DIR}/gz/${component}/${name}.gz)
	add_custom_command(OUTPUT ${made} DEPENDS ${source} VERBATIM
		COMMAND sh -c "gzip -9n <\"$1\" >\"$2\"" sh ${source} ${made})
	add_custom_target(gz_${component}_${name} ALL DEPENDS ${made})
	file(MAKE_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/gz/${component})
	install(FILES ${made} DESTINATION ${directory} COMPONENT ${component})
endfunction()

set(CPACK_PACKAGE_NAME leasedns)
set(CPACK_PACKAGE_VENDOR "The leasedns authors")
set(CPACK_COMPONENTS_ALL leasedns nss)
# One for each: CPack's own would be the same for both.
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "")
set(summary_LEASEDNS "names for virtual machines on the host that runs them")
set(summary_NSS "NSS modules for the names of virtual machines")
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENT_LEASEDNS_DESCRIPTION
"leasedns reads the DHCP leases and guests of libvirt's networks and answers
for their names on 127.0.0.56: A, AAAA and PTR, live as leases come and go.
Questions for other names it forwards, cached.
.
It also keeps the index of names from which the NSS modules of the package
libnss-leasedns answer.")
set(CPACK_COMPONENT_NSS_DESCRIPTION
"Programs that ask glibc for a host (ssh, ping, getent and most others) find
virtual machines of libvirt by name, without any DNS. The module leasedns
answers as the server of the package leasedns does; libvirt and libvirt_guest
take the place of libvirt's own.
.
Installing this package adds leasedns to /etc/nsswitch.conf.")
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
	OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PRE_BUILD_SCRIPTS ${packaging}/finish.cmake)
set(CPACK_OUTPUT_FILE_PREFIX ${CMAKE_BINARY_DIR}/packages)

if(LEASEDNS_PACKAGING STREQUAL "DEB")
	include(${packaging}/Deb.cmake)
elseif(LEASEDNS_PACKAGING STREQUAL "RPM")
	include(${packaging}/Rpm.cmake)
else()
	message(FATAL_ERROR "LEASEDNS_PACKAGING is DEB or RPM")
endif()
set(CPACK_GENERATOR ${LEASEDNS_PACKAGING})
include(CPack)
