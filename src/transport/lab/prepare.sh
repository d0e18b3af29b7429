# Run by sh inside a new base image: what a provider's image adds to a bare Debian.
set -eu
update-ca-certificates >/dev/null 2>&1

for user in deploy ops; do
  useradd --create-home --shell /bin/bash --groups sudo "$user"
  install -d -m 700 -o "$user" -g "$user" "/home/$user/.ssh"
  install -m 600 -o "$user" -g "$user" /root/.ssh/authorized_keys "/home/$user/.ssh/"
done
echo 'ops:lab-ops' | chpasswd                                   # ops: sudo asks for this password
echo 'deploy ALL=(ALL:ALL) NOPASSWD: ALL' > /etc/sudoers.d/90-deploy
chmod 440 /etc/sudoers.d/90-deploy

echo 'LANG=C.UTF-8' > /etc/default/locale
echo 'UseDNS no' > /etc/ssh/sshd_config.d/lab.conf              # no name is known for our address: do not wait for one
systemctl -q enable ssh.service

# Units that wait for, or work on, hardware that a container does not have.
systemctl -q mask console-getty.service systemd-networkd-wait-online.service e2scrub_all.timer e2scrub_reap.service

# Guests share their downloads in /var/cache/lab-debs: before apt downloads anything, what others have had lies in its
# own cache as links (it compares their sizes); before dpkg unpacks, new files go into the shared folder (by rename: another guest may look).
# The last two: a machine whose clock is off, or whose mirror stands still, can have a lab too.
cat > /etc/apt/apt.conf.d/50lab <<'APT'
APT::Keep-Downloaded-Packages "true";
Binary::apt::APT::Keep-Downloaded-Packages "true";
APT::Install::Pre-Invoke { "ln -s -t /var/cache/apt/archives /var/cache/lab-debs/*.deb 2>/dev/null || :"; };
DPkg::Pre-Install-Pkgs { "/usr/local/lib/lab/share-debs"; };
Acquire::Check-Valid-Until "false";
Acquire::Check-Date "false";
APT
mkdir -p /usr/local/lib/lab
cat > /usr/local/lib/lab/share-debs <<'SH'
#!/bin/sh
shared=/var/cache/lab-debs
while read -r deb; do
  name=${deb##*/}
  if [ ! -L "$deb" ] && [ -w "$shared" ] && [ ! -e "$shared/$name" ]; then
    cp -- "$deb" "$shared/.$(hostname).$name" && mv -f -- "$shared/.$(hostname).$name" "$shared/$name"
  fi
done
exit 0
SH
chmod 755 /usr/local/lib/lab/share-debs
