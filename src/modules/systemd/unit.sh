# $1: system, user or global. $2: the unit.
command -v systemctl >/dev/null 2>&1 || exit 127
if [ "$1" = user ] && [ -z "$XDG_RUNTIME_DIR" ]; then
  XDG_RUNTIME_DIR=/run/user/$(id -u); export XDG_RUNTIME_DIR
fi
if [ "$1" = system ]; then scope=; else scope=--$1; fi
if [ "$1" != global ]; then
  systemctl $scope show -p Id -p Names -p LoadState -p LoadError -p UnitFileState -p UnitFilePreset -p Description \
    -p FragmentPath -p SourcePath -p DropInPaths -p NeedDaemonReload -p Type -p Restart -p User -p Group \
    -p WorkingDirectory -p Slice -p Wants -p Requires -p WantedBy -p RequiredBy -p TriggeredBy -p Triggers \
    -p CanStart -p CanStop -p CanReload -p TimeoutStartUSec -p TimeoutStopUSec -p EnvironmentFiles -p KillMode \
    -p KillSignal -p RuntimeDirectory -p StateDirectory -p Unit -- "$2" 2>&1 || echo "=failed $?"
fi
echo "=enabled $(systemctl $scope is-enabled -- "$2" 2>&1 | tail -n 1)"
exit 0
