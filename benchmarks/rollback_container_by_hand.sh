#!/usr/bin/env bash
# The rollback of a container as the incident runbook has a person do it, with its waits: restart what runs, make it anew
# from the image of before, wait half a minute, ask twice. Only names and ports are those of this benchmark.
#
# Expects NAME, IMAGE, PORT and DOCKER_HOST in the environment.
set -u
began=$(date +%s)

# 1. the running server
if docker ps | grep -q "$NAME"; then
    docker restart "$(docker ps -q --filter name="$NAME")" >/dev/null
fi

# 2. the image of before: here a container holds what the script exports
docker stop "$NAME" >/dev/null
docker rm "$NAME" >/dev/null

# 3. a clean start
docker run --detach --name "$NAME" --network host --env PORT="$PORT" "$IMAGE" >/dev/null
sleep 30

# 4. is it back?
curl -sS -o /dev/null -w 'health %{http_code}\n' "http://127.0.0.1:$PORT/api/health"
curl -sS -o /dev/null -w 'again %{http_code}\n' "http://127.0.0.1:$PORT/api/revalidate/status"

echo "rolled back in $(($(date +%s) - began)) s"
