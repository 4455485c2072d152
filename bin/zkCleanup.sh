#!/usr/bin/env bash
#
# Removes old snapshots and transaction logs of the server that zoo.cfg describes, as Apache's script of this name does.
#
#   zkCleanup.sh [--config <conf-dir>] -n <snapshots to keep>

tool_dir="$(dirname "$(readlink -f "${BASH_SOURCE-$0}")")"
# shellcheck source=bin/zkEnv.sh
. "$tool_dir/zkEnv.sh"

exec "$NODE" "$tool_dir/zoowarden" cleanup "$ZOOCFG" "${args[@]}"
