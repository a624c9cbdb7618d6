#include "server/zone.h"
