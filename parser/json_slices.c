#include "json_slices.h"
