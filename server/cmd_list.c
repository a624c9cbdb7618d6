#include "server/cmd.h"
