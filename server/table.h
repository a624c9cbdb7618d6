#ifndef SERVER_TABLE_H
#define SERVER_TABLE_H
#endif
