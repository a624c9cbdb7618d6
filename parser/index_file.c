#include "index_file.h"
