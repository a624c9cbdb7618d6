#ifndef SERVER_WATCH_H
#define SERVER_WATCH_H
#endif
