# Packages of Fedora and its kin: places, and scriptlets as systemd's macros write them (rpm/).
set(rpm ${packaging}/rpm)

set(CPACK_RPM_COMPONENT_INSTALL ON)
set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
set(CPACK_RPM_PACKAGE_RELEASE 1)
set(CPACK_RPM_PACKAGE_LICENSE MIT)
set(CPACK_RPM_PACKAGE_GROUP "System Environment/Daemons")
set(CPACK_RPM_PACKAGE_AUTOREQ ON)
set(CPACK_RPM_PACKAGE_AUTOPROV ON)
set(CPACK_RPM_COMPRESSION_TYPE xz)
set(CPACK_RPM_PACKAGE_RELOCATABLE "")
set(CPACK_RPM_LEASEDNS_PACKAGE_SUMMARY ${summary_LEASEDNS})
set(CPACK_RPM_NSS_PACKAGE_SUMMARY ${summary_NSS})
set(CPACK_RPM_SPEC_MORE_DEFINE
"%define use_source_date_epoch_as_buildtime 1
%define clamp_mtime_to_source_date_epoch 1
%define _buildhost localhost
%define __os_install_post %{nil}
%define _build_id_links none")
# Directories that belong to the system are not the package's.
set(CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION
	/etc /usr/sbin /usr/lib/sysusers.d /usr/lib/systemd /usr/lib/systemd/system
	/usr/lib/systemd/system-preset /usr/share/bash-completion
	/usr/share/bash-completion/completions /usr/share/fish /usr/share/fish/vendor_completions.d
	/usr/share/zsh /usr/share/zsh/site-functions /usr/share/licenses /usr/share/man /usr/share/man/man5
	/usr/share/man/man8)

set(CPACK_RPM_LEASEDNS_PACKAGE_NAME leasedns)
set(CPACK_RPM_LEASEDNS_PACKAGE_REQUIRES "systemd")
set(CPACK_RPM_LEASEDNS_USER_FILELIST "%config(noreplace) /etc/leasedns.conf")
set(CPACK_RPM_LEASEDNS_PRE_INSTALL_SCRIPT_FILE ${rpm}/pre.sh)
set(CPACK_RPM_LEASEDNS_POST_INSTALL_SCRIPT_FILE ${rpm}/post.sh)
set(CPACK_RPM_LEASEDNS_PRE_UNINSTALL_SCRIPT_FILE ${rpm}/preun.sh)
set(CPACK_RPM_LEASEDNS_POST_UNINSTALL_SCRIPT_FILE ${rpm}/postun.sh)

# nsswitch.conf is authselect's there: an administrator adds the module by a profile of its own.
set(CPACK_RPM_NSS_PACKAGE_NAME leasedns-nss)
set(CPACK_RPM_NSS_PACKAGE_CONFLICTS "libvirt-nss")

foreach(package leasedns:leasedns nss:leasedns-nss)
	string(REPLACE ":" ";" package ${package})
	list(GET package 0 component)
	list(GET package 1 name)
	install(FILES ${PROJECT_SOURCE_DIR}/LICENSE
		DESTINATION share/licenses/${name} COMPONENT ${component})
	install(FILES ${PROJECT_SOURCE_DIR}/CHANGELOG.md
		DESTINATION share/doc/${name} COMPONENT ${component})
endforeach()
install(FILES ${docs_nss} DESTINATION share/doc/leasedns-nss COMPONENT nss)
