#include "server/notify.h"
