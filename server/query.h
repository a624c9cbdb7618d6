#ifndef SERVER_QUERY_H
#define SERVER_QUERY_H
#endif
