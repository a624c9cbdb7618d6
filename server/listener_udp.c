#include "server/listener_udp.h"
