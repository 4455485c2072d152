#!/usr/bin/env bash
#
# Sums up a snapshot by subtrees, as Apache's script of this name does.
#
#   zkSnapshotRecursiveSummaryToolkit.sh <snapshot file> <starting node> <max depth>

tool_dir="$(dirname "$(readlink -f "${BASH_SOURCE-$0}")")"
# shellcheck source=bin/zkEnv.sh
. "$tool_dir/zkEnv.sh"

exec "$NODE" "$tool_dir/zoowarden" apache SnapshotRecursiveSummary "${args[@]}"
