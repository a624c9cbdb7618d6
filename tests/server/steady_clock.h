/** @file A monotonic clock for tests that are both ends of what they test, on one thread: time that
 *  the machine gave the test no processor for does not pass. So a time-out runs out only if nobody
 *  did what it waits for, however busy the machine is, and what took 400 ms took just that.
 *
 *  libuv and c-ares get it too, because it comes before libc's. It must be read often: run the loop
 *  with UV_RUN_NOWAIT, and wait for at most STEADY_CLOCK_WAIT_MS between. Header only, for one file
 *  of a program. */
#ifndef TESTS_SERVER_STEADY_CLOCK_H
#define TESTS_SERVER_STEADY_CLOCK_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/** The longest wait between two looks at the clock. */
#define STEADY_CLOCK_WAIT_MS 5
/* As much may pass from one look to the next: such a wait, and a little. */
#define STEADY_CLOCK_STEP_NS INT64_C(10000000)

static int64_t steady_clock_skipped_ns;

/** Lets time pass at once, as for a process that was stopped. */
static inline void steady_clock_skip(unsigned ms)
{
	steady_clock_skipped_ns += (int64_t)ms * 1000000;
}

__attribute__((visibility("default"))) int clock_gettime(clockid_t clock, struct timespec *out_now)
{
	static int64_t seen_ns;
	static int64_t steady_ns;
	int64_t now_ns;

	if (syscall(SYS_clock_gettime, clock, out_now) != 0)
		return -1;
	if (clock != CLOCK_MONOTONIC && clock != CLOCK_MONOTONIC_COARSE && clock != CLOCK_BOOTTIME)
		return 0;
	/* All kinds are one here, or time could go back. */
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, out_now);
	now_ns = (int64_t)out_now->tv_sec * 1000000000 + out_now->tv_nsec;
	if (seen_ns == 0)
		steady_ns = now_ns;
	else if (now_ns - seen_ns < STEADY_CLOCK_STEP_NS)
		steady_ns += now_ns - seen_ns;
	else
		steady_ns += STEADY_CLOCK_STEP_NS;
	seen_ns = now_ns;
	steady_ns += steady_clock_skipped_ns;
	steady_clock_skipped_ns = 0;
	out_now->tv_sec = (time_t)(steady_ns / 1000000000);
	out_now->tv_nsec = (long)(steady_ns % 1000000000);
	return 0;
}

#endif
