#!/bin/sh
# Finds the repository and its ops, bounds the run, and ends as ops ends. The other scripts of this folder call it.
set -u

fail() {
    echo "ops: $1" >&2
    exit 3
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P) || fail "the folder of $0 cannot be found"
root=$(dirname -- "$here")
cd -- "$root" || fail "the repository $root cannot be entered"

program=${OPS_PROGRAM:-}
if [ -z "$program" ]; then
    if [ -x "$root/.venv/bin/ops" ]; then
        program=$root/.venv/bin/ops
    else
        program=$(command -v ops) || program=
    fi
fi
if [ -z "$program" ] || ! command -v -- "$program" >/dev/null 2>&1; then
    fail "ops cannot be found
  where    ${OPS_PROGRAM:-$root/.venv/bin/ops, and PATH=$PATH}
  next     install pytest-runbook into $root/.venv, or name its ops in OPS_PROGRAM"
fi

# Longer than the largest budget of a cycle: ops ends by itself, this is for an ops that cannot.
limit=${OPS_RUN_LIMIT_S:-3900}
case $limit in
    '' | *[!0-9]* | 0*) fail "OPS_RUN_LIMIT_S is no number of seconds: $limit" ;;
esac
if ! command -v timeout >/dev/null 2>&1; then
    exec "$program" "$@"
fi
# From a terminal, Ctrl-C has to reach ops; from a scheduler, what ops started has to end with it.
if [ -t 0 ]; then
    timeout --foreground -k 30 "$limit" "$program" "$@"
else
    timeout -k 30 "$limit" "$program" "$@"
fi
code=$?
case $code in
    124) fail "ops did not end within $limit s and was stopped" ;;
    126 | 127) fail "ops cannot be started: $program" ;;
    129 | 1[3-9]?) fail "ops was killed by signal $((code - 128)), after at most $limit s" ;;
esac
exit "$code"
