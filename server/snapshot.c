#include "server/snapshot.h"
