#!/bin/sh
# What a scheduler calls: one cycle, if one is due. Arguments go to `ops cycle --slot now`.
#
# Ends as ops ends: 0 done, 1 findings, 2 refused by a guard, 3 failed, 64 usage. Says only what ops says, unless ops
# cannot be started or does not end in time. OPS_PROGRAM names another ops; OPS_RUN_LIMIT_S bounds the run in seconds.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 3
exec "$here/run_ops.sh" cycle --slot now "$@"
