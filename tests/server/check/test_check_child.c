#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <sys/wait.h>

#include "server/check/check_child.h"

struct answer {
	int doubled;
	pid_t pid;
};

static void work_double(const void *task, void *out_result)
{
	struct answer *answer = out_result;

	/* The result is zeroed, and what is printed goes nowhere. */
	answer->doubled += *(const int *)task * 2;
	answer->pid = getpid();
	printf("noise\n");
	fflush(stdout);
}

static void work_crash(const void *task, void *out_result)
{
	(void)task;
	(void)out_result;
	abort();
}

static void work_hang(const void *task, void *out_result)
{
	(void)task;
	(void)out_result;
	for (;;)
		pause();
}

static void test_result_comes_back_from_another_process(void **state)
{
	struct answer answer = {0};
	int task = 21;

	(void)state;
	assert_true(check_child_run(work_double, &task, 60000, &answer, sizeof(answer)));
	assert_int_equal(answer.doubled, 42);
	assert_int_not_equal(answer.pid, getpid());
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_crash_and_delay_leave_nothing_behind(void **state)
{
	struct answer answer = {.doubled = 7};

	(void)state;
	assert_false(check_child_run(work_crash, NULL, 60000, &answer, sizeof(answer)));
	assert_false(check_child_run(work_hang, NULL, 50, &answer, sizeof(answer)));
	assert_int_equal(answer.doubled, 7);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_result_comes_back_from_another_process),
		cmocka_unit_test(test_crash_and_delay_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
