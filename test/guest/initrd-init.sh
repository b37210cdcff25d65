#!/bin/busybox sh
# The guest's first stage: from the modules in memory to the disk with the rest.
b=/bin/busybox
$b mount -t devtmpfs dev /dev
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b modprobe -a virtio_pci virtio_blk crc32c_generic ext4
i=0
while [ ! -b /dev/vda ] && [ $i -lt 100 ]; do
  $b usleep 50000
  i=$((i + 1))
done
$b mount -t ext4 -o rw,noatime /dev/vda /newroot || $b reboot -f
for folder in dev proc sys; do $b mount --move /$folder /newroot/$folder; done
exec $b switch_root /newroot /sbin/init
