/** @file A network of a test's own. */
#ifndef TESTS_SUPPORT_OWN_NETWORK_H
#define TESTS_SUPPORT_OWN_NETWORK_H

/** Moves this process to a network that is nobody else's, with a loopback interface that is up: a
 *  port that the test has closed is taken by nobody then. Whoever may not do that stays where they
 *  are; what else runs on the host can disturb their test, once in thousands of runs.
 *  @param state is not used: a group setup of cmocka's.
 *  @return 0, or -1 if the network was made but is no good. */
int own_network(void **state);

#endif
