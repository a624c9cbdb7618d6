#ifndef SERVER_REPLY_H
#define SERVER_REPLY_H
#endif
