#include "nss/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_every_outcome_has_its_triple(void **state)
{
	static const struct {
		enum nss_outcome outcome;
		enum nss_status status;
		int error;
		int h_error;
	} rows[] = {
		{NSS_OUTCOME_FOUND, NSS_STATUS_SUCCESS, 0, NETDB_SUCCESS},
		{NSS_OUTCOME_ABSENT, NSS_STATUS_NOTFOUND, ENOENT, HOST_NOT_FOUND},
		{NSS_OUTCOME_NODATA, NSS_STATUS_NOTFOUND, ENOENT, NO_DATA},
		{NSS_OUTCOME_BUFFER_TOO_SMALL, NSS_STATUS_TRYAGAIN, ERANGE, NETDB_INTERNAL},
		{NSS_OUTCOME_UNAVAILABLE, NSS_STATUS_UNAVAIL, ENOENT, NO_RECOVERY},
		{NSS_OUTCOME_TRANSIENT, NSS_STATUS_TRYAGAIN, EAGAIN, TRY_AGAIN},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int error = 1234;
		int h_error = 1234;
		struct nss_errors errors = {&error, &h_error};

		errno = 77;
		assert_int_equal(reply_finish(rows[i].outcome, &errors), rows[i].status);
		assert_int_equal(error, rows[i].error);
		assert_int_equal(h_error, rows[i].h_error);
		assert_int_equal(errno, 77);
	}
}

static void test_taken_room_is_aligned_from_its_address(void **state)
{
	static _Alignas(64) char buffer[64];
	static const size_t aligns[] = {1, 2, 4, 8, 16};

	(void)state;
	for (size_t offset = 0; offset < 16; offset++) {
		for (size_t i = 0; i < COUNT(aligns); i++) {
			size_t pad = (aligns[i] - offset % aligns[i]) % aligns[i];

			for (size_t len = 1; len < 24; len++) {
				for (size_t left = 0; left < 48; left++) {
					struct reply_room room = {buffer + offset, left};
					char *taken = reply_take(&room, len, aligns[i]);

					if (left < pad + len) {
						assert_null(taken);
						assert_ptr_equal(room.next, buffer + offset);
						assert_int_equal(room.left, left);
						continue;
					}
					assert_ptr_equal(taken, buffer + offset + pad);
					assert_ptr_equal(room.next, taken + len);
					assert_int_equal(room.left, left - pad - len);
				}
			}
		}
	}
}

static void test_no_length_wraps_around(void **state)
{
	static const size_t lengths[] = {
		SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 7, SIZE_MAX / 2 + 1, 65};
	static _Alignas(16) char buffer[64];

	(void)state;
	for (size_t i = 0; i < COUNT(lengths); i++) {
		for (size_t offset = 0; offset < 16; offset++) {
			struct reply_room room = {buffer + offset, 64 - offset};

			assert_null(reply_take(&room, lengths[i], 16));
		}
	}
}

static void test_text_gets_its_nul_or_nothing(void **state)
{
	char buffer[8];

	(void)state;
	for (size_t left = 0; left <= sizeof(buffer); left++) {
		struct reply_room room = {buffer, left};
		char *text;

		memset(buffer, 'x', sizeof(buffer));
		text = reply_take_text(&room, bytes_of_text("abc"));
		if (left < 4) {
			assert_null(text);
			assert_int_equal(buffer[left], 'x');
		} else {
			assert_string_equal(text, "abc");
			assert_int_equal(room.left, left - 4);
		}
	}
	{
		struct reply_room room = {buffer, sizeof(buffer)};

		assert_null(reply_take_text(&room, (struct bytes){(const uint8_t *)"a\0b", 3}));
		assert_string_equal(reply_take_text(&room, (struct bytes){NULL, 0}), "");
	}
}

static void test_host_holds_its_addresses_in_order(void **state)
{
	static const int families[] = {AF_INET, AF_INET6};
	static _Alignas(16) char buffer[4096];

	(void)state;
	for (size_t i = 0; i < COUNT(families); i++) {
		bool six = families[i] == AF_INET6;
		struct hostent result = {.h_length = 99};
		struct reply_host host;
		char *name;

		reply_host_start(&host, &result, families[i], buffer + 1, sizeof(buffer) - 1);
		name = reply_take_text(&host.room, bytes_of_text("vm"));
		for (uint8_t n = 0; n < 30; n++) {
			struct address address = {
				.family = six ? ADDRESS_IPV6 : ADDRESS_IPV4, .octets = {10, 0, n}};

			assert_true(reply_host_add(&host, &address));
		}
		assert_int_equal(result.h_length, 99);
		assert_true(reply_host_finish(&host, name, NULL));
		assert_string_equal(result.h_name, "vm");
		assert_null(result.h_aliases[0]);
		assert_int_equal(result.h_addrtype, families[i]);
		assert_int_equal(result.h_length, six ? 16 : 4);
		for (uint8_t n = 0; n < 30; n++) {
			uint8_t expected[16] = {10, 0, n};

			assert_memory_equal(result.h_addr_list[n], expected, six ? 16 : 4);
		}
		assert_null(result.h_addr_list[30]);
	}
}

static void test_host_that_does_not_fit_leaves_the_result_alone(void **state)
{
	static const struct address address = {ADDRESS_IPV4, {10, 0, 0, 1}};
	static _Alignas(16) char buffer[256];
	size_t fits = 0;

	(void)state;
	for (size_t len = 0; len < sizeof(buffer); len++) {
		struct hostent result = {.h_length = 99};
		struct reply_host host;
		char *name;

		reply_host_start(&host, &result, AF_INET, buffer, len);
		name = reply_take_text(&host.room, bytes_of_text("vm"));
		if (name && reply_host_add(&host, &address) && reply_host_finish(&host, name, NULL))
			fits++;
		else
			assert_int_equal(result.h_length, 99);
	}
	/* "vm" and NUL, to a multiple of 4, the address, two and one pointers. */
	assert_int_equal(fits, sizeof(buffer) - (4 + 4 + 3 * sizeof(char *)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_outcome_has_its_triple),
		cmocka_unit_test(test_taken_room_is_aligned_from_its_address),
		cmocka_unit_test(test_no_length_wraps_around),
		cmocka_unit_test(test_text_gets_its_nul_or_nothing),
		cmocka_unit_test(test_host_holds_its_addresses_in_order),
		cmocka_unit_test(test_host_that_does_not_fit_leaves_the_result_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
