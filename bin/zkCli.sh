#!/usr/bin/env bash
#
# The command line client: Apache's commands, options, output and exit codes, without a JVM.
#
#   zkCli.sh [-server host:port[,...][/chroot]] [-timeout ms] [-r] [-waitforconnection] [-client-configuration file]
#            [--json] [command arguments]
#
# CLIENT_JVMFLAGS and JVMFLAGS: their -D settings count. NODE is the node to run.

tool_dir="$(dirname "$(readlink -f "${BASH_SOURCE-$0}")")"
# shellcheck source=bin/zkEnv.sh
. "$tool_dir/zkEnv.sh"
export CLIENT_JVMFLAGS

exec "$NODE" "$tool_dir/zoowarden" cli "${args[@]}"
