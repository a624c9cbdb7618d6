/* The index is written here by tinycdb itself, so that our reader meets a cdb that it did not
 * write. */
#include "parser/index.h"

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "parser/index_format.h"

struct written {
	int fd;
	uint8_t *octets; /* A copy that may be spoilt. */
	size_t size;
	struct cdb_make cdb;
};

static void written_start(struct written *written)
{
	written->fd = memfd_create("cdb", MFD_CLOEXEC);
	assert_true(written->fd >= 0);
	assert_int_equal(cdb_make_start(&written->cdb, written->fd), 0);
}

static void written_put(struct written *written, const char *key, const void *value, size_t len)
{
	assert_int_equal(
		cdb_make_add(&written->cdb, key, (unsigned)strlen(key), value, (unsigned)len), 0);
}

static void written_finish(struct written *written)
{
	assert_int_equal(cdb_make_finish(&written->cdb), 0);
	written->size = (size_t)lseek(written->fd, 0, SEEK_END);
	written->octets = malloc(written->size);
	assert_non_null(written->octets);
	assert_int_equal(pread(written->fd, written->octets, written->size, 0), written->size);
}

static void written_done(struct written *written)
{
	close(written->fd);
	free(written->octets);
}

/* Both ways to read, which must agree. */
static enum index_match find_both(
	const struct written *written, const char *key, uint8_t *out_value, size_t *out_len)
{
	struct bytes name = bytes_of_text(key + 1);
	enum index_key_kind kind = (enum index_key_kind)key[0];
	struct index mapped;
	struct index opened;
	struct index_window window;
	struct index_value value = {0};
	struct index_value other = {0};
	enum index_match match;

	assert_int_equal(index_init_memory(&mapped, written->octets, written->size), PARSER_OK);
	assert_int_equal(index_init_fd(&opened, written->fd, &window), PARSER_OK);
	match = index_find(&mapped, kind, name, &value);
	assert_int_equal(index_find(&opened, kind, name, &other), match);
	assert_int_equal(value.offset, other.offset);
	assert_int_equal(value.len, other.len);
	if (match == INDEX_FOUND && out_value)
		memcpy(out_value, written->octets + value.offset, value.len);
	if (out_len)
		*out_len = value.len;
	return match;
}

static void test_every_key_is_found_with_its_value(void **state)
{
	enum { KEYS = 20000 };
	struct written written;
	char key[32];
	char value[32];
	size_t len;

	(void)state;
	written_start(&written);
	for (int i = 0; i < KEYS; i++) {
		snprintf(key, sizeof(key), "n%d.host", i);
		snprintf(value, sizeof(value), "value of %d", i);
		written_put(&written, key, value, strlen(value));
	}
	written_finish(&written);
	for (int i = 0; i < KEYS; i++) {
		uint8_t found[32];

		snprintf(key, sizeof(key), "n%d.host", i);
		snprintf(value, sizeof(value), "value of %d", i);
		assert_int_equal(find_both(&written, key, found, &len), INDEX_FOUND);
		assert_int_equal(len, strlen(value));
		assert_memory_equal(found, value, len);
		key[0] = 'h';
		assert_int_equal(find_both(&written, key, NULL, NULL), INDEX_ABSENT);
	}
	written_done(&written);
}

static void test_an_empty_database_holds_nothing(void **state)
{
	struct written written;

	(void)state;
	written_start(&written);
	written_finish(&written);
	assert_int_equal(find_both(&written, "nweb", NULL, NULL), INDEX_ABSENT);
	written_done(&written);
}

static void test_long_keys_are_absent(void **state)
{
	static char key[INDEX_KEY_OCTETS_MAX + 3];
	struct written written;

	(void)state;
	memset(key, 'n', sizeof(key) - 1);
	written_start(&written);
	written_put(&written, key, "x", 1);
	written_finish(&written);
	assert_int_equal(find_both(&written, key, NULL, NULL), INDEX_ABSENT);
	written_done(&written);
}

/* cdb's hash is easy to collide: from any state some two pairs of characters lead to the same next
 * one, so that a dozen of them make 4,096 names with one hash. */
static uint32_t hash_pair(uint32_t hash, uint8_t first, uint8_t second)
{
	return ((((hash * 33u) ^ first) * 33u)) ^ second;
}

/* A pair that leads to the same hash as another that starts with `first`. */
static bool find_twin(uint32_t hash, uint8_t first, char pairs[2][3])
{
	for (uint8_t second = '!'; second <= '~'; second++) {
		for (uint8_t other = '!'; other <= '~'; other++) {
			uint32_t last = hash_pair(hash, first, second) ^ hash_pair(hash, other, 0);

			if (other == first || last < '!' || last > '~')
				continue;
			memcpy(pairs[0], (uint8_t[]){first, second}, 2);
			memcpy(pairs[1], (uint8_t[]){other, (uint8_t)last}, 2);
			return true;
		}
	}
	return false;
}

static void find_colliding_pairs(char pairs[12][2][3])
{
	uint32_t hash = (5381u * 33u) ^ 'n';

	for (unsigned i = 0; i < 12; i++) {
		uint8_t first = '!';

		while (!find_twin(hash, first, pairs[i]))
			assert_true(++first <= '~');
		hash = hash_pair(hash, (uint8_t)pairs[i][0][0], (uint8_t)pairs[i][0][1]);
	}
}

static void colliding_key(char pairs[12][2][3], char *key, unsigned number)
{
	key[0] = 'n';
	for (unsigned bit = 0; bit < 12; bit++)
		memcpy(key + 1 + bit * 2, pairs[bit][number >> bit & 1], 2);
	key[25] = '\0';
}

static void test_colliding_keys_are_found_within_bounded_work(void **state)
{
	static const struct {
		unsigned keys;
		unsigned wanted;
		enum index_match match;
	} cases[] = {
		{INDEX_PROBES_MAX, INDEX_PROBES_MAX - 1, INDEX_FOUND},
		{INDEX_PROBES_MAX + 500, INDEX_PROBES_MAX + 400, INDEX_CORRUPT},
	};
	char pairs[12][2][3];
	char key[32];

	(void)state;
	find_colliding_pairs(pairs);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct written written;

		written_start(&written);
		for (unsigned k = 0; k < cases[i].keys; k++) {
			colliding_key(pairs, key, k);
			written_put(&written, key, &k, sizeof(k));
		}
		written_finish(&written);
		colliding_key(pairs, key, cases[i].wanted);
		assert_int_equal(find_both(&written, key, NULL, NULL), cases[i].match);
		written_done(&written);
	}
}

static void test_files_that_are_no_index_are_refused(void **state)
{
	static const size_t sizes[] = {0, 1, 2047, (size_t)INDEX_FILE_OCTETS_MAX + 1};
	uint8_t octet = 0;
	struct index index;
	struct index_window window;

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int fd = memfd_create("cdb", MFD_CLOEXEC);

		assert_int_equal(index_init_memory(&index, &octet, sizes[i]), PARSER_E_CORRUPT);
		assert_int_equal(ftruncate(fd, (off_t)sizes[i]), 0);
		assert_int_equal(index_init_fd(&index, fd, &window), PARSER_E_CORRUPT);
		close(fd);
	}
	assert_int_equal(index_init_fd(&index, -1, &window), PARSER_E_IO);
}

static void test_a_record_is_read_field_by_field(void **state)
{
	static const uint8_t octets[INDEX_RECORD_OCTETS * 2] = {
		4, 2, 0x34, 0x12, 0x52, 0x54, 0, 0xaa, 0, 1, 3, 0,    /* */
		7, 0, 0, 0, 0, 0, 0, 0,                               /* valid from */
		0, 1, 0, 0, 0, 0, 0, 0,                               /* expires */
		192, 168, 122, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, /* */
		5,                                                    /* no family */
	};
	struct written written;
	struct index index;
	struct index_window window;
	struct index_value value;
	struct index_record record;

	(void)state;
	written_start(&written);
	written_put(&written, "nweb", octets, sizeof(octets));
	written_finish(&written);
	assert_int_equal(index_init_fd(&index, written.fd, &window), PARSER_OK);
	assert_int_equal(
		index_find(&index, INDEX_KEY_NAME, bytes_of_text("web"), &value), INDEX_FOUND);
	assert_int_equal(index_record_count(&value), 2);
	assert_int_equal(index_record_at(&value, 0, &record), PARSER_OK);
	assert_int_equal(record.address.family, ADDRESS_IPV4);
	assert_memory_equal(record.address.octets, octets + 28, 16);
	assert_int_equal(record.kind, INDEX_KIND_GUEST);
	assert_int_equal(record.network, 0x1234);
	assert_true(record.has_mac);
	assert_true(record.duplicate);
	assert_memory_equal(record.mac.octets, octets + 4, 6);
	assert_int_equal(record.valid_from_unix_s, 7);
	assert_int_equal(record.expires_unix_s, 256);
	assert_int_equal(index_record_at(&value, 1, &record), PARSER_E_CORRUPT);
	assert_int_equal(index_record_at(&value, 2, &record), PARSER_E_CORRUPT);
	written_done(&written);
}

static void test_aliveness_includes_the_last_second(void **state)
{
	static const struct {
		int64_t from;
		int64_t until;
		int64_t now;
		bool alive;
	} cases[] = {
		{0, 100, 99, true},
		{0, 100, 100, true},
		{0, 100, 101, false},
		{0, 0, INT64_MAX, true},
		{101, 0, 100, false},
		{101, 0, 101, true},
		{0, 100, -5, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(index_is_alive(cases[i].from, cases[i].until, cases[i].now),
			cases[i].alive);
}

/* Whatever a hostile file holds: no crash, no read outside (the sanitizer looks), an end. */
static void walk(const struct index *index)
{
	static const char *const keys[] = {"web", "db", "", "a.b"};
	uint8_t buffer[INDEX_KEY_OCTETS_MAX + 1];
	struct index_value value;
	struct index_record record;
	struct index_meta meta;
	struct index_name name;
	enum index_key_kind kind;
	struct bytes key;
	uint32_t offset = 0;

	for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++) {
		if (index_find(index, INDEX_KEY_NAME, bytes_of_text(keys[k]), &value) !=
			INDEX_FOUND)
			continue;
		for (size_t i = 0; i <= index_record_count(&value); i++)
			index_record_at(&value, i, &record);
		offset = 0;
		while (index_name_next(&value, &offset, buffer, &name) == PARSER_OK)
			assert_true(name.name.len <= INDEX_NAME_OCTETS_MAX);
	}
	offset = 0;
	while (index_entry_next(index, &offset, buffer, &kind, &key, &value) == PARSER_OK)
		assert_true(key.len <= INDEX_KEY_OCTETS_MAX);
	if (index_meta_init(&meta, index) == PARSER_OK)
		index_meta_done(&meta);
}

static void test_spoilt_files_are_survived(void **state)
{
	uint8_t value[INDEX_RECORD_OCTETS * 3] = {4};
	struct written written;
	struct index index;
	struct index_window window;

	(void)state;
	srandom(20261124);
	written_start(&written);
	written_put(&written, "nweb", value, sizeof(value));
	written_put(&written, "ndb", value, 29);
	written_put(&written, "m", value, 60);
	written_put(&written, "na.b", value, 0);
	written_finish(&written);
	for (unsigned round = 0; round < 20000; round++) {
		size_t len =
			round % 7 ? written.size : 2048 + (size_t)random() % (written.size - 2047);
		uint8_t *spoilt =
			malloc(len); /* Exactly sized, so that the sanitizer sees a step over. */
		unsigned flips = 1 + (unsigned)random() % 8;

		memcpy(spoilt, written.octets, len);
		for (unsigned i = 0; i < flips; i++)
			spoilt[(size_t)random() % len] = (uint8_t)random();
		if (index_init_memory(&index, spoilt, len) == PARSER_OK)
			walk(&index);
		if (round % 16 == 0) {
			assert_int_equal(ftruncate(written.fd, (off_t)len), 0);
			assert_int_equal(pwrite(written.fd, spoilt, len, 0), len);
			assert_int_equal(index_init_fd(&index, written.fd, &window), PARSER_OK);
			walk(&index);
		}
		free(spoilt);
	}
	written_done(&written);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_is_found_with_its_value),
		cmocka_unit_test(test_an_empty_database_holds_nothing),
		cmocka_unit_test(test_long_keys_are_absent),
		cmocka_unit_test(test_colliding_keys_are_found_within_bounded_work),
		cmocka_unit_test(test_files_that_are_no_index_are_refused),
		cmocka_unit_test(test_a_record_is_read_field_by_field),
		cmocka_unit_test(test_aliveness_includes_the_last_second),
		cmocka_unit_test(test_spoilt_files_are_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
