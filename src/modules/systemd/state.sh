# $1: system or user. $2: the unit.
command -v systemctl >/dev/null 2>&1 || exit 127
if [ "$1" = user ] && [ -z "$XDG_RUNTIME_DIR" ]; then
  XDG_RUNTIME_DIR=/run/user/$(id -u); export XDG_RUNTIME_DIR
fi
if [ "$1" = system ]; then scope=; else scope=--$1; fi
systemctl $scope show -p ActiveState -p SubState -p Result -p MainPID -p ExecMainStatus -p ExecMainCode -p NRestarts \
  -p ActiveEnterTimestamp -p InactiveEnterTimestamp -p ExecMainStartTimestamp -p ControlGroup -- "$2" 2>&1
exit 0
