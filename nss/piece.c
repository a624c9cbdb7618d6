#include "nss/piece.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* As format_text asks for: the longest line, twice. */
#define PIECE_OCTETS (FORMAT_LINE_OCTETS_MAX * 2)
/* Enough for all but the oddest files. With much more, malloc() would take the memory from the
 * system and give it back at every lookup, and the page faults would cost more than the parsing. */
#define PIECE_FIRST_OCTETS (32u * 1024)

struct piece_reader {
	struct format_text text; /* First, so that a text is its reader. */
	int fd;
	bool failed;
	bool short_of_memory;
	size_t left; /* Of the file as it was when it was opened: at its end nothing is asked for.
		      */
	uint8_t *octets;
	size_t cap;
};

struct piece_reader *piece_reader_new(void)
{
	struct piece_reader *reader = calloc(1, sizeof(*reader));

	if (reader)
		reader->fd = -1;
	return reader;
}

void piece_reader_free(struct piece_reader *reader)
{
	if (reader)
		free(reader->octets);
	free(reader);
}

/* Makes room for a file, or for a piece of it. Small files come first and often: they need no more
 * than they hold. */
static bool piece_make_room(struct piece_reader *reader, size_t size)
{
	/* One more: never none. */
	size_t cap = size < PIECE_FIRST_OCTETS ? size + 1 : PIECE_FIRST_OCTETS;
	uint8_t *octets;

	if (cap <= reader->cap)
		return true;
	octets = malloc(cap);
	if (!octets)
		return false;
	free(reader->octets);
	reader->octets = octets;
	reader->cap = cap;
	return true;
}

/* Reads behind the first `len` octets. False at the end of the file. */
static bool piece_read(struct piece_reader *reader, uint8_t *octets, size_t len, size_t cap)
{
	ssize_t got;

	do {
		got = read(reader->fd, octets + len, cap - len);
	} while (got < 0 && errno == EINTR);
	reader->failed = got < 0;
	if (got <= 0)
		return false;
	reader->left -= (size_t)got < reader->left ? (size_t)got : reader->left;
	reader->text.bytes = (struct bytes){octets, len + (size_t)got};
	return true;
}

/* As piece_read(), into a buffer of full size. The old one stays where nothing comes: the caller
 * has views of it. */
static bool piece_read_larger(struct piece_reader *reader, size_t len)
{
	uint8_t *octets = malloc(PIECE_OCTETS);

	if (!octets) {
		reader->short_of_memory = true;
		return false;
	}
	memcpy(octets, reader->octets, len);
	if (!piece_read(reader, octets, len, PIECE_OCTETS)) {
		free(octets);
		return false;
	}
	free(reader->octets);
	reader->octets = octets;
	reader->cap = PIECE_OCTETS;
	return true;
}

/* Appends to what is there; false at the end of the file and if there is no room. */
static bool piece_fill(struct piece_reader *reader, size_t len)
{
	if (reader->left == 0 || len >= PIECE_OCTETS)
		return false;
	if (len == reader->cap)
		return piece_read_larger(reader, len);
	return piece_read(reader, reader->octets, len, reader->cap);
}

/* As format_text.more. What is kept moves only if something comes, or the caller's view would be
 * spoilt: so it moves to the front and, at the end of the file, back again. */
static bool piece_more(struct format_text *text, size_t consumed)
{
	struct piece_reader *reader = (struct piece_reader *)text;
	size_t len = text->bytes.len;
	size_t kept = len - consumed;

	memmove(reader->octets, reader->octets + consumed, kept);
	if (piece_fill(reader, kept))
		return true;
	memmove(reader->octets + consumed, reader->octets, kept);
	return false;
}

static int piece_open(const char *directory, const char *name)
{
	char path[PATH_MAX];
	size_t directory_len = strlen(directory);
	size_t name_len = strlen(name);

	if (directory_len + name_len + 2 > sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(path, directory, directory_len);
	path[directory_len] = '/';
	memcpy(path + directory_len + 1, name, name_len + 1);
	return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK);
}

static enum parser_status piece_parse(
	struct piece_reader *reader, const struct store_file *file, record_sink sink, void *ctx)
{
	struct source_stamp before;
	struct source_stamp after;
	struct format_report report;
	struct stat st;
	enum parser_status status;

	if (fstat(reader->fd, &st) < 0)
		return PARSER_E_IO;
	if (!S_ISREG(st.st_mode))
		return PARSER_E_UNTRUSTED;
	if (st.st_size > (off_t)FORMAT_FILE_OCTETS_MAX)
		return PARSER_E_LIMIT;
	if (!piece_make_room(reader, (size_t)st.st_size))
		return PARSER_E_NO_MEMORY;
	source_stamp_of(&st, 0, &before);
	reader->left = (size_t)st.st_size;
	reader->failed = false;
	reader->short_of_memory = false;
	reader->text = (struct format_text){.bytes = {reader->octets, 0}, .more = piece_more};
	piece_fill(reader, 0);
	status = file->format->parse(&reader->text, sink, ctx, &report);
	if (reader->failed)
		return PARSER_E_IO;
	if (reader->short_of_memory)
		return PARSER_E_NO_MEMORY;
	if (fstat(reader->fd, &st) < 0)
		return PARSER_E_IO;
	source_stamp_of(&st, 0, &after);
	return source_stamp_same(&before, &after) ? status : PARSER_E_TORN;
}

enum parser_status piece_reader_parse(struct piece_reader *reader, const char *directory,
	const struct store_file *file, record_sink sink, void *ctx)
{
	enum parser_status status;

	reader->fd = piece_open(directory, file->name);
	if (reader->fd < 0)
		return errno == ENOENT ? PARSER_E_ABSENT : PARSER_E_IO;
	status = piece_parse(reader, file, sink, ctx);
	close(reader->fd);
	reader->fd = -1;
	return status;
}
