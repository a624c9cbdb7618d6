# %systemd_post: presets count at the first installation.
if [ "$1" -eq 1 ] && [ -x /usr/lib/systemd/systemd-update-helper ]; then
	/usr/lib/systemd/systemd-update-helper install-system-units leasedns.socket leasedns.service || :
fi
