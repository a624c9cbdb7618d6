#include "server/daemon.h"
