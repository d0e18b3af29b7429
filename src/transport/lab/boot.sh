# Run by sh in a mount and a network namespace of its own: boots one host, and boots it again when it asks for that.
# Mounts, network and processes end with the namespaces and the cgroup, so that nothing of the host can be left over.
# CGROUP, DISK (upper, work, root), LOWER, DEBS, NAME, ADDRESS and GATEWAY are set.
set -eu
echo $$ > "$CGROUP/cgroup.procs"

# The other side plugs the cable in and says so. If it dies before, there is nothing to boot.
read -r plugged
[ "$plugged" = plugged ]
exec </dev/null
ip link set lo up
ip link set eth0 up
ip addr add "$ADDRESS/24" dev eth0
ip route add default via "$GATEWAY"

# `volatile` leaves out every fsync: installing takes a third less. It marks the disk as unclean; so do we not mind.
rm -rf "$DISK/work/work/incompat"
mount -t overlay "windlass-lab-$NAME" "$DISK/root" \
  -o "lowerdir=$LOWER,upperdir=$DISK/upper,workdir=$DISK/work,volatile"

# A plain cgroup v2 tree, whatever the machine has; and a /run/systemd of its own, where nspawn keeps its locks.
umount -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd

export SYSTEMD_NSPAWN_API_VFS_WRITABLE=network     # sysctl net.* can be written in the guest
status=133                                         # how nspawn says that the guest wants to boot again
while [ "$status" = 133 ]; do
  status=0
  systemd-nspawn --quiet --boot --keep-unit --register=no --directory="$DISK/root" --machine="$NAME" \
    --hostname="$NAME" --network-namespace-path=/proc/self/ns/net --capability=CAP_NET_ADMIN,CAP_NET_RAW \
    --bind="$DEBS:/var/cache/lab-debs" \
    --resolv-conf=off --timezone=off --link-journal=no --console=read-only || status=$?
done
exit "$status"
