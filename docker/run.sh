#!/bin/bash
# The flow in a container, on the current folder: docker/run.sh build --model reactnet18 --strategy qat --width 16
# Paths outside this folder are not seen, but for a data set named by FLOW_DATA. Builds the image on first use;
# TORCH_INDEX_URL is handed to the Dockerfile, which says what it is.
set -euo pipefail
root=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")

for engine in docker podman ""; do
    # `version` fails where a client is installed and no engine answers.
    if [ -n "$engine" ] && "$engine" version >/dev/null 2>&1; then break; fi
done
[ -n "$engine" ] || { echo "neither docker nor podman answers here: install and start one, or use make setup" >&2; exit 1; }

if ! "$engine" image inspect popbin-flow >/dev/null 2>&1; then
    "$engine" build -f "$root/docker/Dockerfile" -t popbin-flow \
        ${TORCH_INDEX_URL:+--build-arg TORCH_INDEX_URL="$TORCH_INDEX_URL"} "$root" >&2
fi

# Files that belong to the caller. Without root the engines map uids: podman can map the caller's to itself,
# docker maps it to the container's root.
user=(--user "$(id -u):$(id -g)")
if [[ $("$engine" --version) == podman* ]]; then
    [ "$(id -u)" -eq 0 ] || user+=(--userns keep-id)
elif [[ $("$engine" info --format '{{.SecurityOptions}}') == *rootless* ]]; then
    user=(--user 0:0)
fi

options=(--rm "${user[@]}")
if [ -t 0 ] && [ -t 1 ]; then options+=(--interactive --tty); fi
# SELinux would keep the container out of the folder; labelling it anew would change it for others.
options+=(--security-opt label=disable --volume "$PWD:/work" --volume popbin-flow-cache:/home/flow/.cache)
if [ -n "${FLOW_DATA:-}" ]; then
    data=$(realpath "$FLOW_DATA")
    options+=(--volume "$data:$data:ro" --env FLOW_DATA="$data")
fi
exec "$engine" run "${options[@]}" popbin-flow "$@"
