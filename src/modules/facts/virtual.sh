s() { printf '\036%s\n' "$1"; }
s container; systemd-detect-virt --container 2>/dev/null
s vm; systemd-detect-virt --vm 2>/dev/null
s dockerenv; [ -f /.dockerenv ] || [ -f /.dockerinit ] && echo yes
s containerenv; [ -f /run/.containerenv ] && echo yes
s environ; { tr '\000' '\n' < /proc/1/environ | grep '^container=' || cat /run/systemd/container; } 2>/dev/null
s cgroup; cat /proc/1/cgroup 2>/dev/null
s product; cat /sys/class/dmi/id/product_name 2>/dev/null
s vendor; cat /sys/class/dmi/id/sys_vendor 2>/dev/null
s flags; grep -m 1 -o -w hypervisor /proc/cpuinfo 2>/dev/null
s xen; [ -d /proc/xen ] && cat /proc/xen/capabilities 2>/dev/null
s modules; grep -E '^(kvm|vboxdrv|virtio)' /proc/modules 2>/dev/null
s kvm; [ -e /dev/kvm ] && echo yes
exit 0
