#include "server/answer.h"
