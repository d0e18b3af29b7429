# $1: the user. $2: the home folder. $3: the key's file. $4: its kind. $5: its bits, if said. $6: its comment; the host's
# name is added where it is empty. The passphrase comes in the environment.
command -v ssh-keygen >/dev/null 2>&1 || { echo "ssh-keygen is missing: install openssh-client" >&2; exit 127; }
folder=${3%/*}
owner=$(id -u "$1"):$(id -g "$1") || exit 1
if [ ! -d "$folder" ]; then
  mkdir -p "$folder" && chmod 0700 "$folder" && chown "$owner" "$folder" || exit 1
fi
comment=$6; [ -n "$comment" ] || comment="ansible-generated on $(uname -n)"
rm -f "$3" "$3.pub"
set -- "$@" -q -t "$4" -C "$comment" -f "$3"
[ -n "$5" ] && set -- "$@" -b "$5"
file=$3
shift 6
if [ -n "$WINDLASS_PASSPHRASE" ]; then
  ask=$folder/.windlass-askpass
  trap 'rm -f "$ask"' EXIT
  (umask 077; printf '#!/bin/sh\nprintf "%%s\\n" "$WINDLASS_PASSPHRASE"\n' > "$ask") && chmod 0700 "$ask" || exit 1
  SSH_ASKPASS=$ask SSH_ASKPASS_REQUIRE=force ssh-keygen "$@" </dev/null || exit 1
  rm -f "$ask"
else
  ssh-keygen "$@" -N '' </dev/null || exit 1
fi
chown "$owner" "$file" "$file.pub" && chmod 0600 "$file" && chmod 0644 "$file.pub"
