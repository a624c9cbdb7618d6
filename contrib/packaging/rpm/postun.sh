# %systemd_postun_with_restart, for the service alone: sockets hold the questions meanwhile.
if [ "$1" -ge 1 ] && [ -x /usr/lib/systemd/systemd-update-helper ]; then
	/usr/lib/systemd/systemd-update-helper mark-restart-system-units leasedns.service || :
fi
