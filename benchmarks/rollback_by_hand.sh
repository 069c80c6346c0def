#!/usr/bin/env bash
# The rollback as the incident runbook has a person do it, step by step and with its waits: stop the server, set the
# secret again, start it clean, wait half a minute, ask twice. Only names, paths and ports are those of the embedded stack.
#
# Expects WORK (the stack's directory), PORT and PYTHON in the environment. Prints the pid of the server it started.
set -u
began=$(date +%s)

# 1. stop what runs
if docker ps 2>/dev/null | grep -q afo-core; then
    docker restart "$(docker ps -q --filter name=afo-core)"
else
    kill $(ps ax -o pid=,args= | grep -F "$WORK/releases/core/current/core.py" | grep -v grep | awk '{print $1}')
fi

# 2. the secret is set again: here it lives in the configuration that the link puts in force
export AFO_INTERNAL_SECRET
AFO_INTERNAL_SECRET=$(cat "$WORK/secrets/AFO_INTERNAL_SECRET")
ln -sfn 1.env "$WORK/config/core/current.env"

# 3. a clean start
cd "$WORK" || exit 1
"$PYTHON" releases/core/current/core.py --root "$WORK" --name core --port "$PORT" </dev/null >/dev/null 2>&1 &
echo "pid $!"
sleep 30

# 4. is it back?
curl -sS -o /dev/null -w 'health %{http_code}\n' "http://127.0.0.1:$PORT/api/health"
curl -sS -o /dev/null -w 'guard %{http_code}\n' -H "X-Internal-Secret: $AFO_INTERNAL_SECRET" \
    "http://127.0.0.1:$PORT/api/revalidate/status"

echo "rolled back in $(($(date +%s) - began)) s"
