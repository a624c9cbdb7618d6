/* Files that every program reads, and that root alone may: to root all seems well. */
#include "server/check/check.h"

#include <sys/stat.h>

static void files_look(struct check *check, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || (st.st_mode & S_IROTH))
		return;
	if (check_find(&check->report, CHECK_FILE_PRIVATE,
		    "'%s' cannot be read by everybody: its mode is %03o", path,
		    (unsigned)st.st_mode & 0777))
		check_mend(&check->report, "chmod 644 '%s'", path);
}

void check_files(struct check *check)
{
	files_look(check, check->host->nsswitch_path);
	files_look(check, check->host->resolv_conf_path);
	files_look(check, check->host->hosts_path);
	files_look(check, check->conf->path);
}
