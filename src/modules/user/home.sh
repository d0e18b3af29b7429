# $1: the home folder. $2: what a new home holds. $3: the mask of its mode. $4: user. $5: group.
mkdir -p "${1%/*}" || exit 1
if [ -d "$2" ]; then cp -R "$2" "$1" || exit 1; else mkdir "$1" || exit 1; fi
chown -R "$4:$5" "$1" || exit 1
if [ -n "$3" ]; then chmod "$(printf '%o' $((0777 & ~0$3)))" "$1"; else
  mode=$(sed -n 's/^HOME_MODE[ 	]*//p' /etc/login.defs 2>/dev/null | head -n 1)
  chmod "${mode:-0755}" "$1"
fi
