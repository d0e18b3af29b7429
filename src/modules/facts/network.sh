s() { printf '\036%s\n' "$1"; }
s links; for i in /sys/class/net/*; do [ -e "$i" ] && echo "${i##*/} $(readlink "$i/device" 2>/dev/null)"; done
s attributes; grep -sH . /sys/class/net/*/address /sys/class/net/*/mtu /sys/class/net/*/operstate \
  /sys/class/net/*/type /sys/class/net/*/flags /sys/class/net/*/speed /sys/class/net/*/bridge/stp_state \
  /sys/class/net/*/bridge/bridge_id /sys/class/net/*/bonding/slaves /sys/class/net/*/bonding/mode \
  /sys/class/net/*/bonding/miimon /sys/class/net/*/bonding/mii_status /sys/class/net/*/bonding/lacp_rate \
  /sys/class/net/*/bonding/primary /sys/class/net/*/bonding/active_slave /sys/class/net/*/bonding/all_slaves_active 2>/dev/null
s ports; for p in /sys/class/net/*/brif/*; do [ -e "$p" ] && echo "$p"; done
s modules; for d in /sys/class/net/*/device/driver/module; do [ -e "$d" ] && echo "$d $(readlink "$d")"; done
if command -v ip >/dev/null 2>&1; then
  s addr; ip -o addr show 2>/dev/null || ip addr show 2>/dev/null
  s get4; ip -4 route get 8.8.8.8 2>/dev/null
  s get6; ip -6 route get 2404:6800:400a:800::1012 2>/dev/null
  s default4; ip -4 route show default 2>/dev/null
  s default6; ip -6 route show default 2>/dev/null
  s local4; ip -4 route show table local 2>/dev/null
  s local6; ip -6 route show table local 2>/dev/null
fi
exit 0
