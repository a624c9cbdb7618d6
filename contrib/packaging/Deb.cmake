# Packages of Debian: names, relations and maintainer scripts (debian/PACKAGE/).
set(debian ${packaging}/debian)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "The leasedns authors <leasedns@lists.example.org>")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
foreach(component LEASEDNS NSS)
	set(CPACK_DEBIAN_${component}_DESCRIPTION
		"${summary_${component}}\n${CPACK_COMPONENT_${component}_DESCRIPTION}")
endforeach()

set(CPACK_DEBIAN_LEASEDNS_PACKAGE_NAME leasedns)
set(CPACK_DEBIAN_LEASEDNS_PACKAGE_SECTION net)
set(CPACK_DEBIAN_LEASEDNS_PACKAGE_DEPENDS
	"init-system-helpers (>= 1.54~), systemd | systemd-standalone-sysusers | systemd-sysusers")
set(CPACK_DEBIAN_LEASEDNS_PACKAGE_RECOMMENDS "libnss-leasedns")
set(CPACK_DEBIAN_LEASEDNS_PACKAGE_SUGGESTS "libvirt-daemon-system")
set(CPACK_DEBIAN_LEASEDNS_PACKAGE_CONTROL_EXTRA
	${debian}/leasedns/conffiles ${debian}/leasedns/postinst ${debian}/leasedns/prerm
	${debian}/leasedns/postrm)

# Its own modules of those names would be overwritten: it is replaced, and what depends on it has it.
set(CPACK_DEBIAN_NSS_PACKAGE_NAME libnss-leasedns)
set(CPACK_DEBIAN_NSS_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_NSS_PACKAGE_RECOMMENDS "leasedns")
set(CPACK_DEBIAN_NSS_PACKAGE_PROVIDES "libnss-libvirt")
set(CPACK_DEBIAN_NSS_PACKAGE_CONFLICTS "libnss-libvirt")
set(CPACK_DEBIAN_NSS_PACKAGE_REPLACES "libnss-libvirt")
set(made ${CMAKE_CURRENT_BINARY_DIR}/debian)
foreach(script preinst postinst postrm)
	configure_file(${debian}/libnss-leasedns/${script}.in ${made}/${script} @ONLY)
endforeach()
set(CPACK_DEBIAN_NSS_PACKAGE_CONTROL_EXTRA
	${debian}/libnss-leasedns/conffiles ${debian}/libnss-leasedns/triggers
	${made}/preinst ${made}/postinst ${made}/postrm)
install(FILES ${debian}/libnss-leasedns/90libnss-leasedns
	DESTINATION /etc/apt/apt.conf.d COMPONENT nss)
install(FILES apparmor/abstractions/nameservice.d/leasedns
	DESTINATION /etc/apparmor.d/abstractions/nameservice.d COMPONENT nss)

# Debian Policy, chapter 12.
foreach(package leasedns:leasedns nss:libnss-leasedns)
	string(REPLACE ":" ";" package ${package})
	list(GET package 0 component)
	list(GET package 1 name)
	install(FILES ${debian}/${name}/lintian-overrides DESTINATION share/lintian/overrides
		RENAME ${name} COMPONENT ${component})
	install(FILES ${debian}/copyright DESTINATION share/doc/${name} COMPONENT ${component})
	leasedns_install_gz(${debian}/changelog share/doc/${name} changelog.Debian ${component})
	leasedns_install_gz(${PROJECT_SOURCE_DIR}/CHANGELOG.md share/doc/${name} changelog ${component})
endforeach()
install(FILES ${docs_nss} DESTINATION share/doc/libnss-leasedns COMPONENT nss)
