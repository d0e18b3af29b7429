# $1: a virtual environment, if any. $2: a pip program, if any. Says how pip is called, and what is installed.
list() { PIP_DISABLE_PIP_VERSION_CHECK=1 "$@" list --format=freeze 2>/dev/null; }
if [ -n "$1" ]; then
  [ -x "$1/bin/python" ] || [ -x "$1/bin/python3" ] || { echo "=none"; exit 0; }
  if [ -x "$1/bin/pip" ]; then echo "=pip $1/bin/pip"
  # One whose making was cut short, or is still at it.
  elif ! "$1/bin/python" -c 'import pip' 2>/dev/null; then echo "=none"; exit 0; fi
  if ! grep -qi '^include-system-site-packages *= *true' "$1/pyvenv.cfg" 2>/dev/null; then
    # What is installed is written in the names of folders: no need to start Python.
    for d in "$1"/lib/python3*/site-packages/*.dist-info "$1"/lib/python3*/site-packages/*.egg-info; do
      # What pip writes last.
      case $d in *.dist-info) [ -e "$d/RECORD" ] || continue ;; *) [ -e "$d" ] || continue ;; esac
      d=${d##*/}; d=${d%.dist-info}; d=${d%.egg-info}
      printf '%s\n' "$d" | sed 's/^\([^-]*\)-\([^-]*\).*$/\1==\2/'
    done
    exit 0
  fi
  list "$1/bin/python" -m pip
  exit 0
fi
if [ -n "$2" ]; then
  pip=$(command -v "$2" 2>/dev/null) || exit 127
  echo "=pip $pip"
  list "$pip"
elif pip=$(command -v pip3 2>/dev/null); then
  echo "=pip $pip"
  list "$pip"
elif command -v python3 >/dev/null 2>&1 && python3 -m pip --version >/dev/null 2>&1; then
  echo "=module"
  list python3 -m pip
else
  exit 127
fi
exit 0
