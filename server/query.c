#include "server/query.h"
