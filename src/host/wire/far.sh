# The far side of Windlass: reads framed data, runs it, answers in marked frames.
export LC_ALL=C QUOTING_STYLE=literal PATH="${PATH:+$PATH:}/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
unset LANGUAGE TIME_STYLE CDPATH ENV BASH_ENV POSIXLY_CORRECT
umask 022
while IFS= read -r N; do case $N in WL-*) break ;; esac; done
N=${N#WL-} WS=
case $N in *' '*) WS=${N#* } N=${N%% *} ;; esac
[ -n "$N" ] || exit 0
W=
I=$(id)
# Number and name of user and group: what this shell makes belongs to them by itself.
WU=${I#uid=} WG=${I#* gid=}; WU=${WU%% *} WG=${WG%% *}
WN=${WU#*\(} WM=${WG#*\(} WU=${WU%%\(*} WG=${WG%%\(*}; WN=${WN%\)} WM=${WM%\)}
# When a user's last login ends, logind empties /dev/shm of what is theirs (RemoveIPC), also under a shell of sudo; not
# of what is root's.
if [ "$WU" = 0 ]; then S=/dev/shm; else S=; fi
for D in $S /tmp /var/tmp "$HOME" /dev/shm; do
  [ -d "$D" ] && [ -w "$D" ] || continue
  # Those of shells that were killed.
  for W in "$D"/.windlass-*-*; do N1=${W##*.windlass-}; [ ! -d "$W" ] || kill -0 "${N1%%-*}" 2>/dev/null || rm -rf "$W" 2>/dev/null; done
  umask 077; W=$(mktemp -d "$D/.windlass-$$-XXXXXXXX" 2>/dev/null) || W=; umask 022
  [ -n "$W" ] || continue
  # A full disk takes folders, and loses scripts and outputs.
  printf %65536s "" 2>/dev/null >"$W/room" && true >"$W/room" && break
  rm -rf "$W"; W=
done
[ -n "$W" ] || { printf '\n@%s F\nno folder for temporary files: /dev/shm, /tmp, /var/tmp and the home can not be written, or have no space left\n@%s .\n' "$N" "$N"; exit 1; }
# T is a file that is arriving beside its place: the connection may break in its midst.
T=
trap 'rm -rf "$W"; [ -z "$T" ] || rm -f "$T"' EXIT
trap 'exit 1' HUP TERM INT PIPE
D=$W
# What is kept from run to run: commands that outlive a connection, and notes (handlers that are owed).
if [ -n "$WS" ]; then WJ=$WS/notified
elif [ "$WU" = 0 ]; then WJ=/var/lib/windlass/notified
else WJ=$HOME/.local/state/windlass/notified; fi
printf '\n@%s W\n%s\n%s\n%s\n%s\n' "$N" "$I" "$HOME" "$D" "${WINDLASS_EMBEDDED:-}"
for w in "$WJ"/*; do [ -f "$w" ] && IFS= read -r l <"$w" && printf '%s %s\n' "${w##*/}" "$l"; done 2>/dev/null
printf '\n@%s .\n' "$N"
# Where a note can't be kept, the run goes on without.
wnote() { umask 077; { [ -d "$WJ" ] || mkdir -p "$WJ"; printf '%s\n' "$2" >"$WJ/$1"; } 2>/dev/null; umask 022; }
wforget() { ( cd "$WJ" 2>/dev/null && rm -f -- "$@" && rmdir "$WJ" ) 2>/dev/null || :; }
# Where there is `timeout`, it keeps time limits; elsewhere the other side does, over a second channel.
WT=; ! command -v timeout >/dev/null 2>&1 || WT=1
wm() { printf '\n@%s %s\n' "$N" "$*"; }
we() { [ -s "$D/e$1" ] && { wm r "$1"; head -c 262144 "$D/e$1"; }; wm d "$1" "$2"; }
wput() { ( umask 077; printf %s "$2" >"$D/$1" ) 2>/dev/null || B=1; }
wnone() { wm r "$1"; printf 'could not write to %s, where the command would be kept while it runs: is there space left?\n' "$D"; wm d "$1" 1; }
wstat() { stat $1 -c '%f %u %U %g %G %s %X %Y %Z %i %d %h %b %N' -- "$2"; }
# Where paths really are. First a number for each: how many parts at its end are not there (x: it can't be told), then
# the resolved folders, each with a NUL behind it. Never `realpath -m`: it eats all memory on links that lead into
# themselves.
wreal() (
  wf=$1 m=; shift
  for p do
    n=0 q=$p
    [ -n "$wf" ] && [ -e "$q" ] || { n=1; case $q in */*/*) q=${q%/*} ;; *) q=/ ;; esac; }
    [ -z "$wf" ] || [ ! -L "$p" ] || [ -e "$p" ] || n=x
    while [ "$n" != x ] && [ ! -e "$q" ]; do
      if [ -L "$q" ]; then n=x; else n=$((n + 1)); case $q in */*/*) q=${q%/*} ;; *) q=/ ;; esac; fi
    done
    m="$m $n"
    [ "$n" = x ] || set -- "$@" "$q"
    shift
  done
  printf '%s\n' "$m"
  [ $# = 0 ] || realpath -z -- "$@"
)
wp() {
  wk=$1 wf=$2 wt=$3; shift 3
  wm a "$wk"
  stat $wf -c '%f %u %U %g %G %s %X %Y %Z %i %d %h %b %N' -- "$@" 2>"$D/e$wk"
  printf '\0='
  wreal "$wf" "$@" 2>/dev/null
  printf '\0='
  [ -z "$wt" ] || ( for p do [ -f "$p" ] && set -- "$@" "$p"; shift; done; [ $# = 0 ] || $wt -- "$@" 2>/dev/null )
  we "$wk" 0
}
wc_() {
  wm a "$1"
  if [ -f "$2" ]; then if [ -r "$2" ]; then printf f; head -c 16777217 -- "$2" 2>"$D/e$1"; else printf '!permission denied'; fi
  elif [ -d "$2" ]; then printf '!it is a folder'
  elif [ -e "$2" ]; then printf '!it is not a regular file'
  else printf -- -; fi
  we "$1" 0
}
wtree() {
  [ -d "$1" ] || { printf -- -; return; }
  printf d
  find "$1/" -mindepth 1 -exec stat --printf '%f %u %U %g %G %s %N\0' -- {} + 2>&1
  [ -z "$2" ] || { printf '\0=\n'; find "$1/" -type f -exec "$2" -z -- {} + 2>&1; }
}
wh() { sha256sum | { read -r h _; printf %s "$h"; }; }
# Writes a text to a new file, for nobody else to read yet.
wtext() { umask 077; printf %s "$2" >"$1"; w=$?; umask 022; [ $w = 0 ] || rm -f "$1"; return $w; }
wsame() { [ "$(wh <"$1")" = "$2" ] || { echo 'the file arrived damaged, or changed while it was sent' >&2; rm -f "$1"; return 1; }; }
# chown, where what this shell has made is not owned that way already (a folder may give its own group).
wown1() {
  case $1 in "$WN:$WM" | "$WU:$WG" | "$WN" | "$WU" | ":$WM" | ":$WG") [ -O "$2" ] && [ -G "$2" ] ;; *) false ;; esac
}
wown() { wown1 "$1" "$2" || chown "$1" "$2"; }
wowns() {
  wz=$1; shift
  for p do wown1 "$wz" "$p" || set -- "$@" "$p"; shift; done
  [ $# = 0 ] || chown "$wz" -- "$@"
}
# chmod of what is no link, or of where links lead (f).
wmodes() {
  wz=$1 wf=$2; shift 2
  for p do [ -z "$wf" ] && [ -L "$p" ] || set -- "$@" "$p"; shift; done
  [ $# = 0 ] || chmod "$wz" -- "$@"
}
# Many files at once: an archive, the digest of its contents' digests, and the folders of ours that it unpacks into.
wunpack() {
  wa=$1 wz=$2; shift 2
  command -v tar >/dev/null 2>&1 || { echo 'there is no tar on this host, by which many files are unpacked at once: install it' >&2; return 1; }
  ( umask 077; mkdir -- "$@" ) && tar -xmopf "$wa" -C / && rm -f "$wa" || return 1
  [ "$(find "$@" -type f -exec sha256sum {} + | sed -n 's/^\\\{0,1\}\([0-9a-f]\{64\}\)  .*/\1/p' | sort | wh)" = "$wz" ] ||
    { echo 'one of many files sent together arrived damaged, or changed while it was sent' >&2; return 1; }
}
# Moves what lies in a folder of ours into its own folder, with this mode and owner; r keeps what a rename would lose.
wplace() {
  [ -z "$5" ] || ( cd -- "$1" && find . -type f -print0 ) | ( cd -- "$2" && xargs -0 cp --attributes-only --preserve=mode,ownership,xattr -t "$1" -- ) 2>/dev/null
  [ -z "$4" ] || find "$1" -type f -exec chown "$4" {} + || return 1
  [ -z "$4$5" ] || find "$1" -type f -exec chmod "$3" {} + || return 1
  ws=$1 wd=$2
  # All that is there, hidden files too. A pattern that matches nothing stays as it is, and no file has its name.
  set -- "$ws"/*; [ -f "$1" ] || shift
  set -- "$ws"/.[!.]* "$@"; [ -f "$1" ] || shift
  set -- "$ws"/..?* "$@"; [ -f "$1" ] || shift
  mv -f -t "$wd" -- "$@"
}
# Somebody said over a second channel that nothing more is to begin.
wg() { [ ! -e "$D/stop" ] || exit 9; }
wo() {
  true >"$D/pid"; [ ! -s "$D/dur" ] || true >"$D/dur"
  [ -s "$D/o$1" ] && { wm o "$1"; head -c 8388609 "$D/o$1"; }
  we "$1" "$2"
  [ ! -e "$D/kill" ] || exit 9
}
# The processes of a session but one, as wl. (Not by `read`, which takes them byte by byte.)
wses() {
  wl=
  for w in $(grep -Els "\) [^ZX] [0-9]+ [0-9]+ $1 " /proc/[0-9]*/stat); do
    w=${w#/proc/}; w=${w%/stat}
    [ "$w" = "$2" ] || wl="$wl $w"
  done
  [ -n "$wl" ]
}
# Ends what runs in a session, but one process: asks, waits 5 s, and makes it. Fails where something is left.
wend() {
  case $1 in ''|*[!0-9]*) return 0 ;; esac
  wx=0
  wses "$1" "$2"
  [ -n "$2" ] || kill -TERM "-$1" 2>/dev/null
  # Some have a process group of their own.
  for w in $wl; do [ -z "$2" ] && grep -Eqs "\) . [0-9]+ $1 " "/proc/$w/stat" || kill -TERM "$w" 2>/dev/null; done
  while wses "$1" "$2"; do
    if [ $wx -ge 28 ]; then
      for w in $wl; do kill -KILL "$w" 2>/dev/null; done
    fi
    [ $wx -lt 34 ] || return 1
    wx=$((wx + 1))
    if [ $wx -lt 6 ]; then sleep 0.05; else sleep 0.2; fi
  done
}
# After a time limit: what the command has left behind, children that did not listen.
wlate() { w=; IFS=' ' read -r w _ <"$D/pid"; wend "$w"; }
# Stops the shell whose folder this is: soon (before its next group), now (its command is ended), late (the command
# that has this mark is ended, and the program goes on). Says what could not be ended.
wstop() {
  [ -d "$1" ] || return 0
  [ "$2" = late ] || true >"$1/stop"
  [ "$2" != soon ] || return 0
  wr= wk=
  if [ -s "$1/dur" ]; then
    IFS=' ' read -r wk wr <"$1/dur"
    if [ "$2" = now ]; then true >"$1/kill"; echo durable; return 0; fi
    [ "$wk" = "$3" ] || return 0
    read -r w <"$wr/pid" || return 0
    wend "$w" "$w" || echo left
    return 0
  fi
  [ "$2" != now ] || true >"$1/kill"
  w=; [ ! -s "$1/pid" ] || IFS=' ' read -r w wk <"$1/pid"
  [ "$2" = now ] || [ "$wk" = "$3" ] || return 0
  wend "$w" || echo left
}
winst() {
  p=$1 t=$2 m=$3 og=$4 r=$5 b=$6 i=$7
  if [ -n "$r" ] && [ -e "$p" ]; then cp --attributes-only --preserve=mode,ownership,xattr -- "$p" "$t" 2>/dev/null; fi
  [ -z "$og" ] || wown "$og" "$t" || { rm -f "$t"; return 1; }
  chmod "$m" "$t" || { rm -f "$t"; return 1; }
  if [ -n "$8" ]; then wval "$t" || { echo "failed to validate: the new content was refused (code $?)" >&2; rm -f "$t"; return 1; }; fi
  if [ -n "$b" ]; then cp -p -- "$p" "$b" || { rm -f "$t"; return 1; }; fi
  if [ -z "$i" ]; then mv -fT -- "$t" "$p" || { rm -f "$t"; return 1; }
  else mv -fT -- "$t" "$p" 2>/dev/null || { cat "$t" >"$p"; w=$?; rm -f "$t"; return $w; }; fi
}
wlink() {
  if [ "$1" = h ]; then w=; else w=-s; fi
  if [ ! -e "$3" ] && [ ! -L "$3" ]; then ln $w -T -- "$2" "$3"; return; fi
  ln $w -- "$2" "$4" || return 1
  mv -fT -- "$4" "$3"; w=$?
  # Two names of one file are left as they are.
  [ $w = 0 ] && [ ! -e "$4" ] && [ ! -L "$4" ] || rm -f "$4"
  return $w
}
walive() { kill -0 "$(cat "$R/pid" 2>/dev/null || echo x)" 2>/dev/null; }
wended() {
  n=0
  while [ ! -f "$R/exit" ]; do
    [ ! -e "$D/kill" ] || { rm -rf "$wq"; echo 'it goes on, and the next run waits for it' >"$D/e$k"; exit 130; }
    if [ $n -lt 20 ]; then sleep 0.05; else sleep 0.2; fi; n=$((n + 1))
    [ $((n % 25)) != 0 ] || [ -f "$R/exit" ] || walive || { sleep 1; [ -f "$R/exit" ] || return 1; }
  done
}
wothers() { rm -rf "$wq"; for wq in "$R"/w.*; do kill -0 "${wq##*.}" 2>/dev/null && return; done; return 1; }
# Durable commands. What an earlier connection left at its place is waited for; its result counts if it is the same work,
# and, unless that must not be done twice, only if it did not end before: what it found may be otherwise by now.
wdur() {
  k=$1 R=$2 wi=$3 wn=$4 wz=$5 wo=; shift 5
  if [ -n "$WS" ]; then S=$WS/running
  elif [ "$(id -u)" = 0 ]; then S=/var/lib/windlass/running
  elif [ -w "$HOME" ]; then S=$HOME/.cache/windlass/running
  else
    # An account of a service, whose home is not there or not its own.
    S=/var/tmp/windlass-running-$(id -u)
    { [ -L "$S" ] || [ -e "$S" ]; } && { [ -L "$S" ] || [ ! -O "$S" ]; } && { printf '%s is not ours\n' "$S" >"$D/e$k"; return 1; }
  fi
  # Who waits is noted: the shell of a connection that broke may still wait, and must not take the result away.
  R=$S/$R; wq=$R/w.$$
  printf '%s %s\n' "$wz" "$R" >"$D/dur"
  if [ -d "$R" ]; then
    [ -f "$R/exit" ] || walive || sleep 1
    if [ ! -f "$R/exit" ] && walive; then
      wm j "$k"; mkdir "$wq" 2>/dev/null
      wended; wn=once wo=y
    elif [ -f "$R/exit" ] && [ -n "$(find "$R/exit" -mmin +60 2>/dev/null)" ]; then wn=
    fi
    if [ -f "$R/exit" ] && [ -n "$wn" ] && [ "$(cat "$R/what" 2>/dev/null)" = "$wi" ]; then [ -d "$wq" ] || { wm j "$k"; mkdir "$wq"; }
    else wothers && sleep 1; wq=$R/w.$$; rm -rf "$R"; fi
  fi
  if [ ! -d "$wq" ]; then
    [ -z "$wo" ] || export WINDLASS_AFTER=yes
    ( umask 077; mkdir -p "$wq" && echo "$wi" >"$R/what" ) || { printf 'can not write %s\n' "$S" >"$D/e$k"; return 1; }
    cat >"$R/in"
    setsid sh -c 'R=$1; shift; echo $$ >"$R/pid"; "$@" >"$R/o" 2>"$R/e" <"$R/in"; echo $? >"$R/x"; mv "$R/x" "$R/exit"' windlass "$R" "$@" </dev/null >/dev/null 2>&1 &
    wended || { echo 'the command ended without a trace (killed, or the host went down)' >"$D/e$k"; rm -rf "$R"; return 125; }
  fi
  [ -z "$WT" ] || [ "$1" != timeout ] || case $(cat "$R/exit") in 124|137) IFS= read -r w <"$R/pid"; wend "$w" ;; esac
  cat "$R/o" >"$D/o$k"; cat "$R/e" >"$D/e$k"; w=$(cat "$R/exit")
  wothers || rm -rf "$R"
  return "$w"
}
X= G=
while IFS=' ' read -r t i n m g k h; do
  case $t in
  s)
    p=$(head -c "$n"; printf x); p=${p%x}
    if [ "$X" != "$i" ] && [ "$G" != "$i.$g" ]; then
      ( trap - EXIT; eval "$p" ) </dev/null; r=$? T=
      case $r in 0) ;; 8) G=$i.$g ;; *) X=$i; [ $r = 9 ] || wm x "$i" "$r" ;; esac
    fi ;;
  f)
    p=$(head -c "$n"; printf x); p=${p%x}
    case $p in %/*) p=$D/${p#%/} ;; *) T=$p ;; esac
    if [ "$X" = "$i" ] || [ "$G" = "$i.$g" ]; then head -c "$m" >/dev/null
    else
      head -c "$m" | ( umask 077; cat >"$p" || { cat >/dev/null; exit 1; } ) 2>"$D/e$k" ||
        { rm -f "$p"; wm b "$k"; we "$k" 1; case $h in 8) G=$i.$g ;; *) X=$i ;; esac; }
    fi ;;
  e)
    rm -rf "$D"/* 2>/dev/null
    if [ "$X" = "$i" ]; then wm E "$i" 1; else wm E "$i" 0; fi; wm . ; X= G= ;;
  q) exit 0 ;;
  esac
done
