# $1: the longest wait for others, in seconds. $2: how often to try again where a source does not answer. $3: the longest
# pause between tries. $4: what policy-rc.d is to answer, if anything. The rest: the command.
limit=$1 tries=$2 longest=$3 policy=$4; shift 4
began=$(date +%s)
left() { echo $((limit - ($(date +%s) - began))); }
note() { printf 'windlass: %s\n' "$1" >&2; }
[ -z "$WINDLASS_AFTER" ] || note "an apt of an earlier run came first"

# A machine that boots for the first time may still be installing packages of its own.
if command -v cloud-init >/dev/null 2>&1 && [ -d /run/cloud-init ] && [ ! -e /run/cloud-init/disabled ] &&
  [ ! -e /var/lib/cloud/instance/boot-finished ] && [ ! -e /etc/cloud/cloud-init.disabled ]; then
  note "waiting for cloud-init, whose first boot is not finished"
  if command -v timeout >/dev/null 2>&1; then timeout "$limit" cloud-init status --wait >/dev/null 2>&1
  else cloud-init status --wait >/dev/null 2>&1; fi || note "cloud-init did not finish well within $limit s"
fi

if [ -n "$policy" ]; then
  file=/usr/sbin/policy-rc.d
  restore() { rm -f "$file"; [ -e "$file.windlass" ] && mv -f "$file.windlass" "$file"; }
  [ -e "$file" ] && [ ! -e "$file.windlass" ] && mv -f "$file" "$file.windlass"
  trap restore EXIT
  trap 'exit 143' TERM INT HUP
  printf '#!/bin/sh\nexit %s\n' "$policy" > "$file" && chmod 0755 "$file" || exit 1
fi

told= tried=0 pause=1
while :; do
  exec 3>&1
  err=$("$@" 2>&1 >&3 3>&-)
  rc=$?
  case $err in
    *"Could not get lock"* | *"Unable to acquire the dpkg frontend lock"* | *"Unable to lock"*)
      if [ $rc -ne 0 ] && [ "$(left)" -gt 0 ]; then
        [ -n "$told" ] || note "waiting for a lock: $(printf '%s\n' "$err" | grep -m 1 -i lock)"
        told=yes
        sleep 2
        continue
      fi ;;
    *)
      if [ $rc -ne 0 ] && [ "$tried" -lt "$tries" ]; then
        tried=$((tried + 1))
        note "try $tried failed, trying again in $pause s: $(printf '%s\n' "$err" | grep -m 1 '^[EW]:')"
        sleep "$pause"
        pause=$((pause * 2)); [ "$pause" -gt "$longest" ] && pause=$longest
        continue
      fi ;;
  esac
  break
done
[ -n "$told" ] && note "waited $(($(date +%s) - began)) s in all"
[ -n "$err" ] && printf '%s\n' "$err" >&2
exit "$rc"
