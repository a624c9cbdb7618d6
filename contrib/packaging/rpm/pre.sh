# What systemd's %sysusers_create_compat does, without its copy of the file: rpm 4.20 makes the user
# from sysusers.d itself.
getent group leasedns >/dev/null || groupadd -r leasedns || :
getent passwd leasedns >/dev/null || useradd -r -g leasedns -d /nonexistent -M \
	-s /usr/sbin/nologin -c "leasedns DNS server" leasedns || :
