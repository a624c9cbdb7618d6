#include "server/listener_tcp.h"
