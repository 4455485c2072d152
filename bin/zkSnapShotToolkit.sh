#!/usr/bin/env bash
#
# Prints a snapshot, as Apache's script of this name does.
#
#   zkSnapShotToolkit.sh [-d|-json] <snapshot file>

tool_dir="$(dirname "$(readlink -f "${BASH_SOURCE-$0}")")"
# shellcheck source=bin/zkEnv.sh
. "$tool_dir/zkEnv.sh"

exec "$NODE" "$tool_dir/zoowarden" apache SnapshotFormatter "${args[@]}"
