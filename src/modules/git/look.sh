# $1: the working copy. $2: the repository's URL. $3: what is wanted. $4: the remote's name. $5: yes if bare. $6: how git is
# to call ssh. $7: the git program. $8: whether the remote is to be asked: always, or only where there is no copy yet.
git=${7:-git}
command -v "$git" >/dev/null 2>&1 || exit 127
GIT_TERMINAL_PROMPT=0; GIT_SSH_COMMAND=$6; export GIT_TERMINAL_PROMPT GIT_SSH_COMMAND
there=
if [ "$5" = yes ]; then [ -e "$1/config" ] && [ -d "$1/objects" ] && there=yes; else [ -e "$1/.git" ] && there=yes; fi
if [ -n "$there" ]; then
  cd "$1" || exit 1
  echo "=there"
  why=$("$git" rev-parse --git-dir 2>&1 >/dev/null) || { printf '=broken %s\n' "$(printf '%s' "$why" | head -n 1)"; exit 0; }
  printf '=head %s\n' "$("$git" rev-parse --verify -q HEAD)"
  printf '=branch %s\n' "$("$git" symbolic-ref -q --short HEAD)"
  printf '=url %s\n' "$("$git" config --get "remote.$4.url")"
  printf '=local %s\n' "$("$git" rev-parse --verify -q "$3^{commit}" 2>/dev/null)"
  if [ "$5" != yes ]; then
    [ -n "$("$git" --no-optional-locks status --porcelain --untracked-files=no --ignore-submodules=all 2>/dev/null | head -n 1)" ] && echo "=dirty"
    if [ -f .gitmodules ]; then
      echo "=submodules"
      "$git" submodule status --recursive 2>/dev/null | grep -q '^[-+]' && echo "=submodules-differ"
    fi
  fi
fi
case $8 in never) exit 0 ;; esac
[ -n "$there" ] && [ "$8" = absent ] && exit 0
refs=$("$git" ls-remote --symref "$2" HEAD "refs/heads/$3" "refs/tags/$3" "refs/tags/$3^{}" 2>&1) || {
  printf '=unreachable %s\n' "$(printf '%s' "$refs" | tail -n 3 | tr '\n' ' ')"; exit 0; }
printf '%s\n' "$refs" | sed 's/^/=ref /'
exit 0
