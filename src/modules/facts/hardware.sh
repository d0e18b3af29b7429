# $1: the longest time for one mounted file system, in seconds.
s() { printf '\036%s\n' "$1"; }
s cpuinfo; cat /proc/cpuinfo 2>/dev/null
s nproc; nproc 2>/dev/null
s arch; uname -m
s meminfo; cat /proc/meminfo 2>/dev/null
s uptime; cat /proc/uptime 2>/dev/null
s dmi; grep -sH . /sys/class/dmi/id/* 2>/dev/null
s block; grep -sH . /sys/block/*/size /sys/block/*/removable /sys/block/*/queue/rotational \
  /sys/block/*/queue/scheduler /sys/block/*/queue/logical_block_size /sys/block/*/queue/discard_granularity \
  /sys/block/*/device/model /sys/block/*/device/vendor /sys/block/*/device/serial \
  /sys/block/*/*/partition /sys/block/*/*/start /sys/block/*/*/size 2>/dev/null
s virtual; for d in /sys/block/*; do [ -e "$d" ] && echo "${d##*/} $(readlink "$d")"; done
s holders; for d in /sys/block/*/holders/* /sys/block/*/*/holders/*; do [ -e "$d" ] && echo "$d"; done
s links; for kind in id uuid label; do
  for l in /dev/disk/by-$kind/*; do [ -L "$l" ] && echo "$kind $(readlink "$l") ${l##*/}"; done
done
s mountinfo; cat /proc/self/mountinfo 2>/dev/null
if command -v timeout >/dev/null 2>&1; then t="timeout $1"; else t=; fi
s mounts; while read -r device where kind options rest; do
  case $device in /* | *:/*) ;; *) case $kind in nfs* | fuse.* | zfs) ;; *) continue ;; esac ;; esac
  [ "$kind" = none ] && continue
  plain=$(printf '%b.' "$(printf '%s' "$where" | sed 's/\\\([0-7][0-7][0-7]\)/\\0\1/g')")
  plain=${plain%.}
  printf '%s %s %s %s %s|' "$device" "$where" "$kind" "$options" "$rest"
  $t stat -f -c '%S %b %a %c %d %s' "$plain" 2>/dev/null || echo
done < /proc/mounts
exit 0
