#include "index_builder.h"
