#!/bin/sh
# The operator's day: pull, backend, summary, live cycle, snapshot. Arguments go to `ops daily --split`.
#
# Ends as ops ends: 0 completed, warnings included, 2 blocked by a guard, 3 failed. OPS_PROGRAM names another ops;
# OPS_RUN_LIMIT_S bounds the run in seconds.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 3
exec "$here/../run_ops.sh" daily --split "$@"
