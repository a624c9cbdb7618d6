# %systemd_preun
if [ "$1" -eq 0 ] && [ -x /usr/lib/systemd/systemd-update-helper ]; then
	/usr/lib/systemd/systemd-update-helper remove-system-units \
		leasedns.socket leasedns.service leasedns-resolved.service || :
fi
