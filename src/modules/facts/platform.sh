# Sections begin with a record separator and a name. The environment comes last, since it may hold anything.
s() { printf '\036%s\n' "$1"; }
s uname; uname -s; uname -n; uname -r; uname -v; uname -m
s os-release; cat /etc/os-release 2>/dev/null || cat /usr/lib/os-release 2>/dev/null
s debian_version; cat /etc/debian_version 2>/dev/null
s lsb; cat /etc/lsb-release 2>/dev/null || { command -v lsb_release >/dev/null 2>&1 && lsb_release -a 2>/dev/null; }
s fqdn; hostname -f 2>/dev/null
s bits; getconf LONG_BIT 2>/dev/null
s user; id -un 2>/dev/null; id -ru; id -u; id -rg; id -g
s passwd; u=$(id -u); { getent passwd "$u" || grep "^[^:]*:[^:]*:$u:" /etc/passwd; } 2>/dev/null
s cmdline; cat /proc/cmdline 2>/dev/null
s machine_id; cat /etc/machine-id 2>/dev/null || cat /var/lib/dbus/machine-id 2>/dev/null
s dns; cat /etc/resolv.conf 2>/dev/null
s managers
for tool in apt-get dnf5 dnf microdnf yum zypper pacman apk emerge xbps-install; do
  command -v "$tool" 2>/dev/null
done
s init; cat /proc/1/comm 2>/dev/null
s systemd; [ -d /run/systemd/system ] && echo yes; [ -L /sbin/init ] && readlink /sbin/init
s systemctl; command -v systemctl >/dev/null 2>&1 && systemctl --version 2>/dev/null | head -n 1
s openrc; [ -x /sbin/openrc ] && echo yes
s python; for p in python3 python; do
  path=$(command -v "$p" 2>/dev/null) && { echo "$path"; "$path" -V 2>&1; break; }
done
s selinux; [ -f /sys/fs/selinux/enforce ] && cat /sys/fs/selinux/enforce
s selinux_config; cat /etc/selinux/config 2>/dev/null
s apparmor; [ -d /sys/kernel/security/apparmor ] && echo yes
s fips; cat /proc/sys/crypto/fips_enabled 2>/dev/null
s caps; grep '^Cap' /proc/self/status 2>/dev/null; cat /proc/sys/kernel/cap_last_cap 2>/dev/null
s loadavg; cat /proc/loadavg 2>/dev/null
s chroot; echo "${debian_chroot-}"; stat -L -c '%d:%i' / 2>/dev/null || echo; stat -L -c '%d:%i' /proc/1/root/. 2>/dev/null || echo
for key in /etc/ssh/ssh_host_*_key.pub /etc/openssh/ssh_host_*_key.pub; do
  [ -r "$key" ] && { s "key $key"; cat "$key"; }
done
s iscsi; cat /etc/iscsi/initiatorname.iscsi 2>/dev/null
s hostnqn; cat /etc/nvme/hostnqn 2>/dev/null
s env; cat /proc/self/environ 2>/dev/null
exit 0
