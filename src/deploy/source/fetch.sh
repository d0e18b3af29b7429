# A host fetches a commit by itself. $1: the bare copy that is kept between deploys. $2: the repository's address, without
# credentials. $3: the commit. $4: the project's folder, or nothing. $5: options, separated by blanks: submodules, local.
# $6: the origin that the credentials are for, or nothing. $7: where the files go, which is empty or not there yet.
# Credentials are files in $WINDLASS_DIR, which is gone when this ends: fetch-key, fetch-known-hosts, fetch-credential.
# Says `=commit HASH` and `=tree HASH` (git's hash of the tree).
mirror=$1 url=$2 commit=$3 project=$4 options=" $5 " origin=$6 dest=$7
GIT_TERMINAL_PROMPT=0 LC_ALL=C
export GIT_TERMINAL_PROMPT LC_ALL
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_ASKPASS SSH_ASKPASS
umask 022
fail() { printf '%s\n' "$*" >&2; exit 1; }
has() { case $options in *" $1 "*) return 0 ;; esac; return 1; }
command -v git >/dev/null 2>&1 ||
  fail 'git is not installed on this host: install it, or leave the fetching to the controller (fetch: controller)'
[ -L "$dest" ] || rmdir "$dest" 2>/dev/null
if [ -e "$dest" ] || [ -L "$dest" ]; then fail "$dest is there already: a release is unpacked only once"; fi

GIT_SSH_COMMAND='ssh -o BatchMode=yes -o ConnectTimeout=20 -o ServerAliveInterval=20 -o StrictHostKeyChecking=yes'
if [ -n "$WINDLASS_DIR" ] && [ -f "$WINDLASS_DIR/fetch-known-hosts" ]; then
  GIT_SSH_COMMAND="$GIT_SSH_COMMAND"' -o UserKnownHostsFile="$WINDLASS_DIR/fetch-known-hosts" -o GlobalKnownHostsFile=/dev/null'
fi
if [ -n "$WINDLASS_DIR" ] && [ -f "$WINDLASS_DIR/fetch-key" ]; then
  chmod 600 "$WINDLASS_DIR/fetch-key" || exit 1
  GIT_SSH_COMMAND="$GIT_SSH_COMMAND"' -o IdentitiesOnly=yes -i "$WINDLASS_DIR/fetch-key"'
fi
export GIT_SSH_COMMAND
git() { command git -c gc.autoDetach=false -c maintenance.autoDetach=false "$@"; }
if [ -n "$origin" ]; then
  # Read by git's own shell when it asks; an argument list shows no more than this text.
  helper='!f() { [ "$1" != get ] || cat "$WINDLASS_DIR/fetch-credential"; }; f'
  git() {
    command git -c gc.autoDetach=false -c maintenance.autoDetach=false -c credential.helper= \
      -c "credential.$origin.helper=$helper" "$@"
  }
fi

part=$dest.part
trap 'rm -rf "$part" "$part.tar" "$part.work"' EXIT
trap 'exit 143' HUP INT TERM
rm -rf "$part" "$part.tar" "$part.work"
if [ ! -f "$mirror/HEAD" ]; then
  mkdir -p "$mirror" && git init -q --bare "$mirror" || fail "the copy of the repository can't be made in $mirror"
fi
holds() { git -C "$mirror" cat-file -e "$commit^{commit}" 2>/dev/null; }
if ! holds; then
  git -C "$mirror" fetch -q --force --prune --no-tags --update-shallow "$url" \
    '+refs/heads/*:refs/heads/*' '+refs/tags/*:refs/tags/*' || fail "the repository $url can't be fetched"
  # On no branch and no tag: many servers give it all the same.
  holds || git -C "$mirror" fetch -q "$url" "+$commit:refs/windlass/$commit" ||
    fail "the repository $url has no commit $commit (any more)"
fi
git -C "$mirror" update-ref "refs/windlass/$commit" "$commit" || exit 1

# One folder's files out of the commit $2 of the repository $1. The archive is written first, since the status of a
# pipe's left end is lost; the times are those of now (nginx's ETag is time and size).
unpack() {
  git -C "$1" -c tar.umask=0022 archive --format=tar -o "$part.tar" "$2" && tar -xmf "$part.tar" -C "$3"
}
mkdir "$part" && unpack "$mirror" "$commit" "$part" || fail "the files of $commit can't be unpacked into $part"
if has submodules && git -C "$mirror" cat-file -e "$commit:.gitmodules" 2>/dev/null; then
  allow=user
  has local && allow=always
  command git clone -q --no-checkout --shared "$mirror" "$part.work" &&
    git -C "$part.work" remote set-url origin "$url" &&
    git -C "$part.work" checkout -q --detach "$commit" &&
    git -C "$part.work" -c "protocol.file.allow=$allow" submodule -q update --init --recursive ||
    fail "the submodules of $commit can't be fetched"
  WINDLASS_PART=$part
  export WINDLASS_PART
  # Where export-ignore left a submodule out, there is no folder for it.
  command git -C "$part.work" submodule -q foreach --recursive '
    [ -d "$WINDLASS_PART/$displaypath" ] || exit 0
    git -c tar.umask=0022 archive --format=tar -o "$WINDLASS_PART.tar" HEAD &&
      tar -xmf "$WINDLASS_PART.tar" -C "$WINDLASS_PART/$displaypath"' || fail "the submodules of $commit can't be unpacked"
fi
pointer=$(find "$part" -type f -size -3 -exec grep -l '^version https://git-lfs.github.com/spec/v1$' {} + | head -n 1)
[ -z "$pointer" ] ||
  fail "only the git LFS pointer of ${pointer#"$part/"} is there, not the file: install git-lfs on this host and run" \
    '`git lfs install`, or keep it out of LFS'
[ -f "$part/${project:+$project/}manage.py" ] || fail "there is no manage.py in ${project:-the top} of $commit"
sync
mv "$part" "$dest" || exit 1
printf '=commit %s\n=tree %s\n' "$commit" "$(git -C "$mirror" rev-parse "$commit^{tree}")"
