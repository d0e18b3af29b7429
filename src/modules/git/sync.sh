# $1: the working copy. $2: the URL. $3: what is wanted. $4: what that is: branch, commit, or head (with the branch's name
# in $5). $6: the remote's name. $7: depth. $8: options, separated by blanks: bare recursive track force single verify set-url.
# $9: refspec. ${10}: a repository to borrow objects from. ${11}: where the repository itself lies. ${12}: git.
dest=$1 url=$2 version=$3 kind=$4 branch=$5 remote=$6 depth=$7 options=" $8 " refspec=$9 reference=${10} apart=${11} git=${12:-git}
GIT_TERMINAL_PROMPT=0; export GIT_TERMINAL_PROMPT
has() { case $options in *" $1 "*) return 0 ;; esac; return 1; }
[ "$kind" = commit ] || version=$branch
deep=${depth:+--depth=$depth}
if has bare; then [ -e "$dest/config" ] && there=yes; else [ -e "$dest/.git" ] && there=yes; fi
if [ -z "$there" ]; then
  mkdir -p "$(dirname "$dest")" || exit 1
  set -- clone -q --origin "$remote"
  has bare && set -- "$@" --bare
  [ -n "$deep" ] && set -- "$@" "$deep" --no-single-branch
  has single && set -- "$@" --single-branch
  [ "$kind" != commit ] && [ -n "$version" ] && set -- "$@" --branch "$version"
  [ "$kind" = commit ] && ! has bare && set -- "$@" --no-checkout
  [ -n "$reference" ] && set -- "$@" --reference "$reference"
  [ -n "$apart" ] && set -- "$@" --separate-git-dir "$apart"
  "$git" "$@" -- "$url" "$dest" || exit 1
  cd "$dest" || exit 1
  has bare && "$git" config "remote.$remote.url" "$url"
  [ -n "$refspec" ] && { "$git" fetch -q ${deep:+"$deep"} "$remote" "$refspec" || exit 1; }
else
  cd "$dest" || exit 1
  if has set-url; then
    "$git" remote set-url "$remote" "$url" 2>/dev/null || "$git" remote add "$remote" "$url" || exit 1
  fi
  has force && ! has bare && { "$git" reset -q --hard HEAD || exit 1; }
  set -- fetch -q --tags
  has force && set -- "$@" --force
  [ -n "$deep" ] && set -- "$@" "$deep"
  set -- "$@" "$remote"
  if has bare; then set -- "$@" '+refs/heads/*:refs/heads/*'; else set -- "$@" "+refs/heads/*:refs/remotes/$remote/*"; fi
  [ -n "$refspec" ] && set -- "$@" "$refspec"
  "$git" "$@" || exit 1
fi
if has bare; then
  has verify && { "$git" verify-commit "$version" || exit 1; }
  exit 0
fi
case $kind in
  commit)
    # A shallow copy may not hold the commit yet.
    "$git" cat-file -e "$version^{commit}" 2>/dev/null || "$git" fetch -q ${deep:+"$deep"} "$remote" "$version" 2>/dev/null ||
      "$git" fetch -q --unshallow --tags "$remote" || exit 1
    "$git" checkout -q --force "$version" -- || exit 1 ;;
  *)
    if [ -n "$there" ]; then
      if "$git" show-ref --verify -q "refs/heads/$version"; then "$git" checkout -q --force "$version" -- || exit 1
      else "$git" checkout -q --force --track -b "$version" "$remote/$version" -- || exit 1; fi
      "$git" reset -q --hard "$remote/$version" -- || exit 1
    fi ;;
esac
if has verify; then
  if "$git" show-ref --verify -q "refs/tags/$version"; then "$git" verify-tag "$version" || exit 1
  else "$git" verify-commit HEAD || exit 1; fi
fi
if has recursive && [ -f .gitmodules ]; then
  before=$("$git" submodule status --recursive)
  "$git" submodule -q sync --recursive || exit 1
  set -- submodule update -q --init --recursive
  has force && set -- "$@" --force
  has track && set -- "$@" --remote
  "$git" "$@" || exit 1
  [ "$before" = "$("$git" submodule status --recursive)" ] || echo "=submodules-changed"
fi
printf '=after %s\n' "$("$git" rev-parse HEAD)"
