#include "conf_table.h"
