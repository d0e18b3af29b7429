# $1: the file of an SSH key. Says whether it is there, its fingerprint and its public half.
[ -f "$1" ] || exit 0
echo "=there"
[ -f "$1.pub" ] || exit 0
command -v ssh-keygen >/dev/null 2>&1 && printf '=fingerprint %s\n' "$(ssh-keygen -l -f "$1.pub" 2>/dev/null)"
printf '=public '; cat "$1.pub"
exit 0
