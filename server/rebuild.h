#ifndef SERVER_REBUILD_H
#define SERVER_REBUILD_H
#endif
