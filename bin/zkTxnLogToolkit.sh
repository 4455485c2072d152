#!/usr/bin/env bash
#
# Prints, mends or cuts a transaction log, as Apache's script of this name does.
#
#   zkTxnLogToolkit.sh [-dhrvy] <log file>, or -c -z <zxid> <log file>

tool_dir="$(dirname "$(readlink -f "${BASH_SOURCE-$0}")")"
# shellcheck source=bin/zkEnv.sh
. "$tool_dir/zkEnv.sh"

exec "$NODE" "$tool_dir/zoowarden" apache TxnLogToolkit "${args[@]}"
