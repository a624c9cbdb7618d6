#include "server/watch.h"
