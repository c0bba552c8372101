#!/bin/bash
# Builds the image and runs the main job in it at a width of 16, without a user's name and in a fresh folder; exits with 0 only
# if every verification line has 0 mismatches, the files belong to the caller, and flow doctor misses nothing that is needed.
# With docker or podman by docker/run.sh; with neither, by buildah as root, and then the files must belong to uid 12345.
set -euo pipefail
root=$(dirname "$(dirname "$(realpath "${BASH_SOURCE[0]}")")")
job=(build --model reactnet18 --strategy qat --target pynq-z2 --width 16 --fps 300)

fail() { echo "docker/test.sh: $*" >&2; exit 1; }

# chroot needs no rights of a container's own; vfs, the driver where none is configured, copies every layer.
export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=overlay

scratch=$(mktemp -d)
containers=()
clean() {
    for container in "${containers[@]}"; do buildah rm "$container" >/dev/null || true; done
    rm -rf "$scratch"
}
trap clean EXIT

require() {  # the tools, each a Debian package of the same name
    local missing=()
    for tool in "$@"; do command -v "$tool" >/dev/null || missing+=("$tool"); done
    [ ${#missing[@]} -gt 0 ] || return 0
    local install="apt-get install -y --no-install-recommends ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || fail "missing ${missing[*]}; run this, then call again as root: sudo $install"
    DEBIAN_FRONTEND=noninteractive $install || { apt-get update && DEBIAN_FRONTEND=noninteractive $install; }
}

base_image() {
    if buildah inspect --type image debian:bookworm-slim >/dev/null 2>&1 || timeout 60 buildah pull -q debian:bookworm-slim; then return; fi
    echo "debian:bookworm-slim cannot be pulled: made by mmdebstrap"
    require mmdebstrap
    mmdebstrap --quiet --variant=minbase bookworm "$scratch/base.tar"
    local container
    container=$(buildah from scratch)
    containers+=("$container")
    buildah add -q "$container" "$scratch/base.tar" / >/dev/null
    buildah commit -q "$container" debian:bookworm-slim >/dev/null
}

# How this machine reaches packages: pip's settings, and the certificates and folders they name, below /host since packages
# write to some of these places. The Dockerfile knows of none.
host_volumes() {
    python3 -m pip config list 2>/dev/null | sed -nE "s/^(:env:|global)\.([a-z-]+)='(.*)'$/\2 = \3/p" >"$scratch/settings" || true
    { echo "[global]"; awk '!seen[$1]++' "$scratch/settings" | sed -E 's#( |file://)/#\1/host/#g'; } >"$scratch/pip.conf"
    echo "--volume=$scratch/pip.conf:/etc/pip.conf:ro"
    grep -oE '(file://| )/[^ ]+' "$scratch/settings" | while read -r path; do
        # The files of an index on disk lie beside its pages.
        [[ $path != file://* ]] || path=$(dirname "${path#file://}")
        [ ! -e "$path" ] || echo "--volume=$path:/host$path:ro"
    done | sort -u
}

build_with_buildah() {
    base_image
    local volumes
    mapfile -t volumes < <(host_volumes)
    buildah build --layers --force-rm "${volumes[@]}" -f "$root/docker/Dockerfile" -t popbin-flow "$root"
}

flow_with_buildah() {  # OPTIONS of buildah run -- ARGUMENTS of the entrypoint, which buildah run ignores
    local options=()
    while [ "$1" != -- ]; do options+=("$1"); shift; done
    shift
    buildah run "${options[@]}" --volume "$scratch/work:/work" "$container" -- "$entrypoint" "$@"
}

engine=buildah
for candidate in docker podman; do
    if "$candidate" version >/dev/null 2>&1; then engine=$candidate; break; fi
done
echo "with $engine"
mkdir "$scratch/work"
cd "$scratch/work"

if [ "$engine" = buildah ]; then
    [ "$(id -u)" -eq 0 ] || fail "neither docker nor podman answers, and buildah is used as root: sudo docker/test.sh"
    require buildah
    owner=12345
    chmod 755 "$scratch"
    chown "$owner:$owner" .
    build_with_buildah
    container=$(buildah from popbin-flow)
    containers+=("$container")
    entrypoint=$(buildah inspect --type image --format '{{index .OCIv1.Config.Entrypoint 0}}' popbin-flow)
    size=$(buildah images --format '{{.Size}}' popbin-flow)
    built=$SECONDS
    flow_with_buildah --user "$owner:$owner" -- "${job[@]}"
    ran=$SECONDS
    flow_with_buildah -- doctor  # as the image's own user
else
    owner=$(id -u)
    "$engine" build -f "$root/docker/Dockerfile" -t popbin-flow ${TORCH_INDEX_URL:+--build-arg TORCH_INDEX_URL="$TORCH_INDEX_URL"} "$root"
    size="$("$engine" image inspect --format '{{.Size}}' popbin-flow) bytes"
    built=$SECONDS
    "$root/docker/run.sh" "${job[@]}"
    ran=$SECONDS
    "$root/docker/run.sh" doctor
fi

summary=$(find . -name summary.json)
[ -f "$summary" ] || fail "one summary.json expected, found: ${summary:-none}"
for stage in export golden csim rtl; do
    grep -q "\"stage\": \"$stage\"" "$summary" || fail "$stage is not verified in $summary"
done
lines=$(grep -c '"mismatches":' "$summary")
equal=$(grep -cE '"mismatches": 0,?$' "$summary") || true
[ "$lines" -eq "$equal" ] || fail "$((lines - equal)) of $lines verification lines have mismatches"
foreign=$(find . ! -uid "$owner")
[ -z "$foreign" ] || fail "not of uid $owner: $foreign"

echo "right: $lines verification lines without a mismatch, all $(find . -type f | wc -l) files of uid $owner"
echo "image $size, $built s to build it, $((ran - built)) s for the main job"
