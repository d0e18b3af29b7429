date '+%Y|%m|%A|%w|%W|%d|%H|%M|%S|%s|%Y-%m-%d|%H:%M:%S|%Y%m%dT%H%M%S|%Z|%z'
date -u '+%Y-%m-%dT%H:%M:%SZ|%Y-%m-%dT%H:%M:%S'
date '+%N'
(TZ=$(cat /etc/timezone 2>/dev/null); [ -n "$TZ" ] && export TZ; y=$(date +%Y); z=$(date +%Z)
 for m in 01 07; do w=$(date -d "$y-$m-01 12:00:00" +%Z 2>/dev/null); [ "$w" = "$z" ] || { [ -n "$w" ] && z=$w; }; done; echo "$z")
exit 0
