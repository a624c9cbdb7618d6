#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H
#endif
