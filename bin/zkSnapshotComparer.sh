#!/usr/bin/env bash
#
# Compares two snapshots, as Apache's script of this name does.
#
#   zkSnapshotComparer.sh -l <file> -r <file> -b <bytes> -n <nodes> [-d] [-i]

tool_dir="$(dirname "$(readlink -f "${BASH_SOURCE-$0}")")"
# shellcheck source=bin/zkEnv.sh
. "$tool_dir/zkEnv.sh"

exec "$NODE" "$tool_dir/zoowarden" apache SnapshotComparer "${args[@]}"
