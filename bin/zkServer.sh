#!/usr/bin/env bash
#
# Runs the server the way an Apache ZooKeeper installation does: same verbs, variables, files, messages, exit codes.
#
#   zkServer.sh [--config <conf-dir>] {start|start-foreground|stop|version|restart|status|print-cmd} [zoo.cfg]
#
# Variables: ZOOCFGDIR, ZOOCFG, ZOO_LOG_DIR, ZOO_LOG_FILE, ZOOPIDFILE, ZOO_DATADIR_AUTOCREATE_DISABLE, ZOO_NOEXEC, SERVER_JVMFLAGS and
# JVMFLAGS (their -D settings count), ZK_SERVER_HEAP (MB, limits the JavaScript heap if set), NODE (the node to run).
# zookeeper-env.sh and java.env of the configuration folder are read first.

# The folder of this script, through the links that npm and system administrators make.
script="${BASH_SOURCE-$0}"
while [ -L "$script" ]; do
  link="$(readlink "$script")"
  case "$link" in
    /*) script="$link" ;;
    *) script="$(dirname "$script")/$link" ;;
  esac
done
ZOOBINDIR="$(cd "$(dirname "$script")" && pwd)"
command="$0"

if [ "$1" = "--config" ] && [ $# -gt 1 ]; then
  ZOOCFGDIR="$2"
  shift 2
fi
verb="$1"

if [ -z "$ZOOCFGDIR" ]; then
  if [ -e "$ZOOBINDIR/../conf" ]; then
    ZOOCFGDIR="$ZOOBINDIR/../conf"
  else
    ZOOCFGDIR="$ZOOBINDIR/../etc/zookeeper"
  fi
fi

# shellcheck disable=SC1091
if [ -f "$ZOOCFGDIR/zookeeper-env.sh" ]; then . "$ZOOCFGDIR/zookeeper-env.sh"; fi
# shellcheck disable=SC1091
if [ -f "$ZOOCFGDIR/java.env" ]; then . "$ZOOCFGDIR/java.env"; fi
ZOO_LOG_DIR="${ZOO_LOG_DIR:-$ZOOBINDIR/../logs}"

# A bare file name lies in the configuration folder; anything with a slash is a path of its own.
case "$2" in
  '') ZOOCFG="$ZOOCFGDIR/${ZOOCFG:-zoo.cfg}" ;;
  */*) ZOOCFG="$2" ;;
  *) ZOOCFG="$ZOOCFGDIR/$2" ;;
esac

NODE="${NODE:-node}"
if ! type -p "$NODE" > /dev/null; then
  echo "Error: NODE is not set and node could not be found in PATH." >&2
  exit 1
fi
node_command=("$NODE")
if [ -n "$ZK_SERVER_HEAP" ]; then node_command+=("--max-old-space-size=$ZK_SERVER_HEAP"); fi
node_command+=("$ZOOBINDIR/zoowarden")

usage() {
  echo "Usage: $command [--config <conf-dir>] {start|start-foreground|stop|version|restart|status|print-cmd}" >&2
}

# The value of a key in a properties file, without surrounding blanks; empty when it is not set.
setting() {
  local key="${1//./\\.}"
  sed -n "s/^[[:space:]]*${key}[[:space:]]*[=:[:space:]][[:space:]]*//p" "$2" 2> /dev/null |
    tail -n 1 | tr -d '\r' | sed -e 's/[[:space:]]*$//'
}

case "$verb" in
  start | start-foreground | stop | restart | status | print-cmd) ;;
  version)
    "${node_command[@]}" version
    exit $?
    ;;
  *)
    usage
    exit 0
    ;;
esac

if [ -n "$JMXPORT" ]; then echo "JMXPORT is ignored: there is no JMX here" >&2; fi
echo "Using config: $ZOOCFG" >&2
if [ ! -f "$ZOOCFG" ]; then
  echo "Error: config file $ZOOCFG does not exist" >&2
  exit 1
fi

ZOO_DATADIR="$(setting dataDir "$ZOOCFG")"
ZOO_DATALOGDIR="$(setting dataLogDir "$ZOOCFG")"

# With automatic creation off, missing directories end it here, where a pid file could not be written anyway.
if [ -n "$ZOO_DATADIR_AUTOCREATE_DISABLE" ]; then
  if [ ! -d "$ZOO_DATADIR/version-2" ]; then
    echo "ZooKeeper data directory is missing at $ZOO_DATADIR fix the path or run initialize"
    exit 1
  fi
  if [ -n "$ZOO_DATALOGDIR" ] && [ ! -d "$ZOO_DATALOGDIR/version-2" ]; then
    echo "ZooKeeper txnlog directory is missing at $ZOO_DATALOGDIR fix the path or run initialize"
    exit 1
  fi
  SERVER_JVMFLAGS="-Dzookeeper.datadir.autocreate=false $SERVER_JVMFLAGS"
fi

if [ -z "$ZOOPIDFILE" ]; then
  ZOOPIDFILE="$ZOO_DATADIR/zookeeper_server.pid"
fi
# Members on one machine, each with a configuration of its own name, do not write over each other's output.
config_name="$(basename "$ZOOCFG" .cfg)"
if [ "$config_name" = zoo ]; then config_name=''; fi
out_file="$ZOO_LOG_DIR/zookeeper-$USER-server-$HOSTNAME${config_name:+-$config_name}.out"

# What the environment files set without exporting it.
export SERVER_JVMFLAGS JVMFLAGS ZOO_LOG_LEVEL ZOO_LOG_FORMAT ZOO_LOG4J_PROP ZOO_LOG_DIR ZOO_LOG_FILE

# A process that has ended and waits for its parent to notice (in a container, often for ever) does not run.
running() {
  kill -0 "$1" > /dev/null 2>&1 && ! grep -qs '^State:[[:space:]]*Z' "/proc/$1/status"
}

start() {
  echo -n "Starting zookeeper ... "
  if [ -f "$ZOOPIDFILE" ] && running "$(cat "$ZOOPIDFILE")"; then
    echo "$command already running as process $(cat "$ZOOPIDFILE")."
    exit 1
  fi
  mkdir -p "$(dirname "$ZOOPIDFILE")" "$ZOO_LOG_DIR"
  nohup "${node_command[@]}" start "$ZOOCFG" > "$out_file" 2>&1 < /dev/null &
  local pid=$!
  if ! echo -n "$pid" > "$ZOOPIDFILE"; then
    echo FAILED TO WRITE PID
    exit 1
  fi
  sleep 1
  if running "$pid"; then
    echo STARTED
  else
    echo FAILED TO START
    exit 1
  fi
}

stop() {
  echo -n "Stopping zookeeper ... "
  if [ ! -f "$ZOOPIDFILE" ]; then
    echo "no zookeeper to stop (could not find file $ZOOPIDFILE)"
    return
  fi
  local pid tenths=0
  pid="$(cat "$ZOOPIDFILE")"
  kill "$pid"
  rm "$ZOOPIDFILE"
  # It closes its files in order before it goes; a start that follows must not meet it.
  while running "$pid" && [ $tenths -lt 100 ]; do
    sleep 0.1
    tenths=$((tenths + 1))
  done
  echo STOPPED
}

# Finds the client port where Java looks for it: zoo.cfg, then this server's line there or in the dynamic file.
find_client_port() {
  client_port="$(setting clientPort "$ZOOCFG")"
  client_address="$(setting clientPortAddress "$ZOOCFG")"
  client_address="${client_address:-localhost}"
  if [[ "$client_port" =~ ^[0-9]+$ ]]; then return; fi
  client_port=''
  local myid entry dynamic
  myid="$(cat "$ZOO_DATADIR/myid" 2> /dev/null)"
  if ! [[ "$myid" =~ ^[0-9]+$ ]]; then
    echo "myid could not be determined, will not able to locate clientPort in the server configs."
    return
  fi
  entry="$(setting "server.$myid" "$ZOOCFG")"
  if [[ "$entry" != *';'* ]]; then
    echo "Client port not found in static config file. Looking in dynamic config file."
    dynamic="$(setting dynamicConfigFile "$ZOOCFG")"
    entry="$(setting "server.$myid" "$dynamic")"
  fi
  if [[ "$entry" != *';'* ]]; then
    echo "Client port not found in the server configs"
    return
  fi
  entry="${entry##*;}"
  client_port="${entry##*:}"
  if [[ "$entry" == *:* ]]; then
    client_address="${entry%:*}"
    client_address="${client_address#\[}"
    client_address="${client_address%\]}"
  fi
}

status() {
  local ssl=false answer mode
  find_client_port
  if [ -z "$client_port" ]; then
    echo "Client port not found. Looking for secureClientPort in the static config."
    client_port="$(setting secureClientPort "$ZOOCFG")"
    if [ -z "$client_port" ]; then
      echo "Unable to find either secure or unsecure client port in any configs. Terminating."
      exit 1
    fi
    ssl=true
    client_address="$(setting secureClientPortAddress "$ZOOCFG")"
    client_address="${client_address:-localhost}"
  fi
  echo "Client port found: $client_port. Client address: $client_address. Client SSL: $ssl."
  if [ $ssl = false ]; then
    answer="$("${node_command[@]}" ask srvr "$client_address" "$client_port" 2> /dev/null)"
    mode="$(grep Mode <<< "$answer")"
  fi
  if [ -z "$mode" ]; then
    reason="$(grep '^Reason: ' <<< "$answer")"
    if [ -n "$reason" ]; then
      echo "It is running, but serves nobody. $reason"
      exit 1
    fi
    echo "Error contacting service. It is probably not running."
    exit 1
  fi
  echo "$mode"
}

case "$verb" in
  start) start ;;
  start-foreground)
    if [ -n "$ZOO_NOEXEC" ]; then
      "${node_command[@]}" start "$ZOOCFG"
    else
      exec "${node_command[@]}" start "$ZOOCFG"
    fi
    ;;
  stop)
    stop
    exit 0
    ;;
  restart)
    stop
    start
    ;;
  status) status ;;
  print-cmd)
    echo "SERVER_JVMFLAGS=\"$SERVER_JVMFLAGS\" JVMFLAGS=\"$JVMFLAGS\" ${node_command[*]} start \"$ZOOCFG\" > \"$out_file\" 2>&1 < /dev/null"
    ;;
esac
