# $1: system, user or global. $2: what to do. $3: seconds between stop and start, where both are asked. $4: the unit.
# The rest: options. What goes wrong is told with the end of the unit's journal.
scope=$1 verb=$2 pause=$3 unit=$4; shift 4
if [ "$scope" = user ] && [ -z "$XDG_RUNTIME_DIR" ]; then
  XDG_RUNTIME_DIR=/run/user/$(id -u); export XDG_RUNTIME_DIR
fi
case $scope in system) scope= ;; *) scope=--$scope ;; esac
ctl() { systemctl $scope "$@"; }
case $verb in
  reload-or-start)
    if ctl is-active -q -- "$unit"; then verb=reload; else verb=start; fi
    ctl "$@" "$verb" -- "$unit" ;;
  restart)
    if [ -n "$pause" ]; then ctl "$@" stop -- "$unit" && sleep "$pause" && ctl "$@" start -- "$unit"
    else ctl "$@" restart -- "$unit"; fi ;;
  daemon-re*) ctl "$verb" ;;
  *) ctl "$@" "$verb" -- "$unit" ;;
esac
rc=$?
if [ $rc -ne 0 ]; then
  case $verb in
    start | stop | restart | reload)
      if command -v journalctl >/dev/null 2>&1; then
        log=$(journalctl $scope -u "$unit" -n 20 --no-pager -q -o cat 2>/dev/null)
        [ -n "$log" ] && printf 'The last lines of the journal of %s:\n%s\n' "$unit" "$log" >&2
      fi ;;
  esac
fi
exit $rc
