#include "tests/support/scratch.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

char *scratch_new(void)
{
	const char *parent = getenv("TMPDIR");
	char *path = NULL;

	if (asprintf(&path, "%s/leasedns-test.XXXXXX", parent ? parent : "/tmp") < 0 ||
		!mkdtemp(path))
		err(1, "scratch directory");
	return path;
}

static int scratch_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void scratch_free(char *directory)
{
	if (directory)
		nftw(directory, scratch_remove, 16, FTW_DEPTH | FTW_PHYS);
	free(directory);
}

const char *scratch_path(const char *directory, const char *name)
{
	static char paths[4][4096];
	static unsigned next;
	char *path = paths[next++ % 4];

	snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
	return path;
}

void scratch_write(const char *directory, const char *name, const void *content, size_t len)
{
	const char *path = scratch_path(directory, name);
	FILE *file = fopen(path, "w");

	if (!file || fwrite(content, 1, len, file) != len || fclose(file) != 0)
		err(1, "%s", path);
}

void scratch_publish(const char *directory, const char *name, const char *text)
{
	char aside[512];

	snprintf(aside, sizeof(aside), "%s.new", name);
	scratch_write(directory, aside, text, strlen(text));
	if (rename(scratch_path(directory, aside), scratch_path(directory, name)) < 0)
		err(1, "%s/%s", directory, name);
}

char *scratch_read(const char *path, size_t *out_len)
{
	FILE *file = fopen(path, "r");
	char *content = NULL;
	size_t cap = 0;
	size_t len = 0;

	if (!file)
		err(1, "%s", path);
	do {
		cap = cap ? cap * 2 : 65536;
		content = realloc(content, cap + 1);
		if (!content)
			err(1, "%s", path);
		len += fread(content + len, 1, cap - len, file);
	} while (len == cap);
	fclose(file);
	content[len] = '\0';
	if (out_len)
		*out_len = len;
	return content;
}

int scratch_own_mounts(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || errno == EINVAL)
		return 0;
	return -1;
}
