#include "server/sockets.h"
