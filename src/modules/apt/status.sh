# $1: `policy` if versions that could be installed are needed in any case, `provides` where a virtual package counts.
# $2: the release to take packages from, if any. The rest: names of packages, without versions.
command -v dpkg-query >/dev/null 2>&1 || exit 127
mode=$1 release=$2; shift 2
form='${Package}\t${Architecture}\t${Version}\t${db:Status-Want} ${db:Status-Status}\t${Provides}\n'
all=$(dpkg-query -W -f="$form" 2>/dev/null)
unknown=
printf '=installed\n'
for name in "$@"; do
  bare=${name%%:*}
  case $bare in
    *[*?[]*) found=; case $mode in absent) ;; *) unknown=yes ;; esac
      printf '%s\n' "$all" ;;
    *) found=$(printf '%s\n' "$all" | grep -F "$bare" | grep -E "(^|[ ,	])$(printf '%s' "$bare" | sed 's/[.+]/\\&/g')([ ,	]|\$)")
      [ -n "$found" ] && printf '%s\n' "$found"
      printf '%s\n' "$found" | grep -q "^$bare	.*	[a-z]* installed	" || unknown=yes ;;
  esac
done
if [ "$mode" = policy ] || { [ "$mode" = present ] && [ -n "$unknown" ]; }; then
  printf '=policy\n'
  for name in "$@"; do
    case $name in
      *[*?[]*) prefix=${name%%[*?[]*}; apt-cache pkgnames "$prefix" 2>/dev/null | sed 's/^/~/' ;;
    esac
  done
  [ -n "$release" ] && set -- -t "$release" "$@"
  apt-cache policy "$@" 2>/dev/null
  [ "$1" = -t ] && shift 2
  printf '=virtual\n'
  apt-cache showpkg "$@" 2>/dev/null | sed -n '/^Package: /p;/^Reverse Provides:/,/^Package: /{/^Package: /!p;}'
fi
exit 0
