#include "parser_status.h"
