#include "freshness.h"
