# $1: for how many seconds the lists of packages are good. Says `fresh` or `stale`, and when they were brought up to date.
at=0
for f in /var/lib/apt/periodic/update-success-stamp /var/lib/apt/lists; do
  [ -e "$f" ] && { at=$(stat -c %Y "$f"); break; }
done
# Lists that were never fetched (a fresh image) are never good, however new their folder is.
for f in /var/lib/apt/lists/*_dists_*; do [ -e "$f" ] || at=0; break; done
if [ $((at + $1)) -ge "$(date +%s)" ]; then echo "fresh $at"; else echo "stale $at"; fi
exit 0
