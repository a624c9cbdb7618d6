/** @file `leasedns list --watch`: the listing again whenever it changes, until the user ends it.
 *
 *  Reads the lease files itself and looks at no index, so it shows a lease as soon as libvirt wrote
 *  it, with or without a server. */
#ifndef SERVER_CLI_LIST_WATCH_H
#define SERVER_CLI_LIST_WATCH_H

#include "server/cli/list_view.h"
#include "server/names/snapshot.h"

/** Runs until SIGINT, SIGTERM or, on a terminal, `q`. On a terminal it draws one screen over the
 *  other; elsewhere it writes one listing after the other, tables parted by an empty line.
 *  @return an exit code (server/cli/cmd.h). */
int list_watch_run(const struct snapshot_conf *conf, const struct list_view *view);

#endif
