# $1: the folder of local facts.
[ -d "$1" ] || exit 0
for f in "$1"/*.fact; do
  [ -e "$f" ] || continue
  if [ -x "$f" ] && [ -f "$f" ]; then
    out=$("$f" </dev/null 2>/dev/null; echo "$?")
    rc=${out##*
}
    printf '\036run %s %s\n' "$rc" "$f"
    printf '%s\n' "${out%"$rc"}"
  elif [ -r "$f" ]; then
    printf '\036read 0 %s\n' "$f"; cat "$f"
  else
    printf '\036read 1 %s\n' "$f"
  fi
done
exit 0
