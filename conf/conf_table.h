/** @file The table of settings: section, key, type, limits, default, unit and help. Private to
 *  conf/ and to what documents it. */
#ifndef CONF_CONF_TABLE_H
#define CONF_CONF_TABLE_H

#include "conf.h"

#endif
