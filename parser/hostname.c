#include "hostname.h"
