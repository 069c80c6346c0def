#!/bin/sh
# The daily checklist, now. Arguments go to `ops daily`; everything else is as in run_ops_cycle.sh.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || exit 3
exec "$here/run_ops.sh" daily "$@"
