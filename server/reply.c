#include "server/reply.h"
