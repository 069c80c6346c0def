#!/bin/sh
# Is the latest live cycle in order? One line and an exit code: 0 yes (warnings included), 2 blocked, 3 no.
# Asked of the server alone, within a minute: no file of this host is read for it.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 3
OPS_RUN_LIMIT_S=${OPS_RUN_LIMIT_S:-60}
export OPS_RUN_LIMIT_S
exec "$here/../run_ops.sh" daily --check live-cycle "$@"
