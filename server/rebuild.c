#include "server/rebuild.h"
