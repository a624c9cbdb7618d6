#include "grouping.h"
