# shellcheck shell=bash
#
# What the tools beside zkServer.sh have in common; they source it. `tool_dir` is the folder that it lies in, with the
# links that npm and system administrators make followed; `args` are the words of the command line but --config.
#
# Variables: ZOOCFGDIR, ZOOCFG, JVMFLAGS (its -Djute.maxbuffer counts), NODE. zookeeper-env.sh and java.env of the
# configuration folder are read.

args=("$@")
if [ "$1" = "--config" ] && [ $# -gt 1 ]; then
  ZOOCFGDIR="$2"
  args=("${@:3}")
fi
if [ -z "$ZOOCFGDIR" ]; then
  if [ -e "$tool_dir/../conf" ]; then
    ZOOCFGDIR="$tool_dir/../conf"
  else
    ZOOCFGDIR="$tool_dir/../etc/zookeeper"
  fi
fi
# shellcheck disable=SC1091
if [ -f "$ZOOCFGDIR/zookeeper-env.sh" ]; then . "$ZOOCFGDIR/zookeeper-env.sh"; fi
# shellcheck disable=SC1091
if [ -f "$ZOOCFGDIR/java.env" ]; then . "$ZOOCFGDIR/java.env"; fi
ZOOCFG="$ZOOCFGDIR/${ZOOCFG:-zoo.cfg}"
export SERVER_JVMFLAGS JVMFLAGS

NODE="${NODE:-node}"
if ! type -p "$NODE" > /dev/null; then
  echo "Error: NODE is not set and node could not be found in PATH." >&2
  exit 1
fi
