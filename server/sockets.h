#ifndef SERVER_SOCKETS_H
#define SERVER_SOCKETS_H
#endif
