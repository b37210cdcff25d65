#!/bin/busybox sh
# The guest's process 1: prepares what LVM expects, runs /suite/run with its output on the serial port "results", and
# ends the machine. No udev runs here but in the scenarios about it: LVM makes the device nodes itself.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
mount -t tmpfs -o mode=755 run /run
mkdir -p /run/lock /run/lvm /dev/disk
mount -t tmpfs -o size=80% tmp /tmp
ln -s /proc/self/fd /dev/fd
modprobe -a virtio_console virtio_rng dm_thin_pool dm_snapshot
[ -e /dev/mapper/control ] || {
  mkdir -p /dev/mapper
  mknod /dev/mapper/control c 10 "$(awk '$2 == "device-mapper" { print $1 }' /proc/misc)"
}
for disk in /sys/block/vd*; do
  serial=$(cat "$disk/serial" 2>/dev/null)
  [ -n "$serial" ] && ln -s "/dev/${disk##*/}" "/dev/disk/$serial"
done
mount -t ext4 -o ro,noload /dev/disk/suite /suite

results=
i=0
while [ -z "$results" ] && [ $i -lt 100 ]; do
  for port in /sys/class/virtio-ports/*; do
    [ "$(cat "$port/name" 2>/dev/null)" = results ] && results=/dev/${port##*/}
  done
  usleep 20000
  i=$((i + 1))
done
cd /root
/usr/sbin/dash /suite/run < /dev/null > "$results" 2> /dev/console
echo "guest exit $?" > "$results"
sync
reboot -f
