#!/usr/bin/env bash
#
# Entry point of the image. Takes the variables of the official image of Apache ZooKeeper, writes zoo.cfg and myid from
# them where there are none, and runs the command (`zkServer.sh start-foreground`) in its place.
#
#   ZOO_CONF_DIR ZOO_DATA_DIR ZOO_DATA_LOG_DIR ZOO_LOG_DIR      folders
#   ZOO_TICK_TIME ZOO_INIT_LIMIT ZOO_SYNC_LIMIT ZOO_MAX_CLIENT_CNXNS ZOO_STANDALONE_ENABLED ZOO_ADMINSERVER_ENABLED
#   ZOO_AUTOPURGE_PURGEINTERVAL ZOO_AUTOPURGE_SNAPRETAINCOUNT   the keys of zoo.cfg of these names
#   ZOO_4LW_COMMANDS_WHITELIST                                  4lw.commands.whitelist, if set
#   ZOO_SERVERS                                                 `server.1=zoo1:2888:3888;2181 server.2=...`
#   ZOO_MY_ID                                                   this server's id; 1 if not set
#   ZOO_CFG_EXTRA                                               more lines, separated by blanks
#
# A container that is run as root (`--user root`) gives its folders to the user zookeeper and goes on as that one.
set -euo pipefail

: "${ZOO_CONF_DIR:=/conf}" "${ZOO_DATA_DIR:=/data}" "${ZOO_DATA_LOG_DIR:=/datalog}" "${ZOO_LOG_DIR:=/logs}"

if [ "${1:-}" = zkServer.sh ] && [ "$(id -u)" -eq 0 ]; then
  chown -R zookeeper "$ZOO_DATA_DIR" "$ZOO_DATA_LOG_DIR" "$ZOO_LOG_DIR"
  chown zookeeper "$ZOO_CONF_DIR" 2> /dev/null || true # often a mount that is read-only
  exec setpriv --reuid zookeeper --regid zookeeper --init-groups --inh-caps=-all "$0" "$@"
fi

# What is written here is for the server alone: zoo.cfg may hold passwords.
umask 077

# A half-written file after a container that was killed would be taken for the configuration.
write_new() {
  if [ -e "$1" ]; then return; fi
  if ! cat > "$1.new"; then
    echo "docker-entrypoint: cannot write $1 as user $(id -u): give the folder to that user, or run with --user root" >&2
    exit 3
  fi
  mv "$1.new" "$1"
}

# One line for each word of a variable; a word may hold any character but blanks.
words_of() {
  local words
  IFS=$' \t\n' read -r -d '' -a words <<< "$1" || true
  if [ "${#words[@]}" -gt 0 ]; then printf '%s\n' "${words[@]}"; fi
}

configuration() {
  cat << END
dataDir=$ZOO_DATA_DIR
dataLogDir=$ZOO_DATA_LOG_DIR
tickTime=${ZOO_TICK_TIME:-2000}
initLimit=${ZOO_INIT_LIMIT:-5}
syncLimit=${ZOO_SYNC_LIMIT:-2}
autopurge.snapRetainCount=${ZOO_AUTOPURGE_SNAPRETAINCOUNT:-3}
autopurge.purgeInterval=${ZOO_AUTOPURGE_PURGEINTERVAL:-0}
maxClientCnxns=${ZOO_MAX_CLIENT_CNXNS:-60}
standaloneEnabled=${ZOO_STANDALONE_ENABLED:-true}
admin.enableServer=${ZOO_ADMINSERVER_ENABLED:-true}
END
  words_of "${ZOO_SERVERS:-server.1=localhost:2888:3888;2181}"
  if [ -n "${ZOO_4LW_COMMANDS_WHITELIST:-}" ]; then echo "4lw.commands.whitelist=$ZOO_4LW_COMMANDS_WHITELIST"; fi
  words_of "${ZOO_CFG_EXTRA:-}"
}

configuration | write_new "$ZOO_CONF_DIR/zoo.cfg"
echo "${ZOO_MY_ID:-1}" | write_new "$ZOO_DATA_DIR/myid"

exec "$@"
