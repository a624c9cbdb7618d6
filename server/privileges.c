#include "server/privileges.h"
