#!/usr/bin/env bash
#
# Is the server in this container alive? It is when its client port takes a connection and, if that is not for TLS
# alone, answers `srvr`. A member that looks for a leader is alive: to kill it would not help the others. What is ready
# to serve is another question, which the admin server answers under /ready.
set -euo pipefail

config="${ZOO_CONF_DIR:-/conf}/zoo.cfg"

# The last value of a key in a file, without blanks; empty where there is none.
setting() {
  sed -n "s/^[[:space:]]*${1//./\\.}[[:space:]]*[=:][[:space:]]*//p" "$2" | tail -n 1 | tr -d '[:space:]'
}

# Where clients connect: zoo.cfg says it, or this server's line there or in the dynamic file.
port="$(setting clientPort "$config")"
address="$(setting clientPortAddress "$config")"
if [ -z "$port" ]; then
  members="$(setting dynamicConfigFile "$config")"
  entry="$(setting "server.$(tr -d '[:space:]' < "${ZOO_DATA_DIR:-/data}/myid")" "${members:-$config}")"
  if [[ "$entry" == *';'* ]]; then
    port="${entry##*[;:]}"
    address="${entry##*;}"
    address="${address%"$port"}"
    address="${address%:}"
  fi
fi
address="${address#[}"
address="${address%]}"
case "$address" in '' | 0.0.0.0 | :: | 0:0:0:0:0:0:0:0) address=127.0.0.1 ;; esac

if [ -z "$port" ]; then
  exec 3<> "/dev/tcp/$address/$(setting secureClientPort "$config")"
  exit 0
fi
exec 3<> "/dev/tcp/$address/$port"
printf srvr >&3
IFS= read -r -t 5 answer <&3
[ -n "$answer" ]
