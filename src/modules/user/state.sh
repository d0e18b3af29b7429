# $1: the user. Standard input: the password's hash that is wanted, if one is. Says which groups it is a member of, what
# the shadow file holds (without the hash itself), and what useradd takes where nothing is said.
IFS= read -r want || :
command -v useradd >/dev/null 2>&1 || echo "=none useradd"
if command -v getent >/dev/null 2>&1; then all=$(getent group); else all=$(cat /etc/group); fi
printf '%s\n' "$all" | while IFS=: read -r name x gid members; do
  case ",$members," in *",$1,"*) printf '=member %s %s\n' "$name" "$gid" ;; esac
done
if [ "$(id -u)" = 0 ]; then
  line=$( { getent shadow "$1" || grep "^$1:" /etc/shadow; } 2>/dev/null | head -n 1)
  if [ -n "$line" ]; then
    rest=${line#*:}; have=${rest%%:*}; rest=${rest#*:}
    case $have in '!'*) lock=locked ;; *) lock=open ;; esac
    bare() { v=$1; while :; do case $v in '!'*) v=${v#!} ;; *) break ;; esac; done; printf '%s' "$v"; }
    if [ "$(bare "$have")" = "$(bare "$want")" ]; then same=same; else same=other; fi
    printf '=shadow %s %s %s\n' "$lock" "$same" "$rest"
  fi
fi
useradd -D 2>/dev/null | sed 's/^/=default /'
exit 0
