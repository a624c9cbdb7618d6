#ifndef SERVER_NOTIFY_H
#define SERVER_NOTIFY_H
#endif
