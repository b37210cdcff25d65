#!/bin/bash
# Builds what the test guest boots: OUT/{vmlinuz,initrd.cpio,root.ext4}. Needs no root, mounts nothing, installs nothing.
#
#   build-image.sh OUT KERNEL.deb BUSYBOX.deb UDEV.deb LIBSYSTEMD_SHARED.deb NODE [THIN_TOOLS.deb]
#
# Kernel, modules, busybox and udev come out of the Debian packages; LVM, the thin tools and the rest are this machine's own programs
# with their libraries. A second version of the thin tools goes to /opt/thin-tools. udev is started by the scenarios that are about it,
# with the rules that they choose of those in /opt/udev.
set -euo pipefail

out=$1 kernel_deb=$2 busybox_deb=$3 udev_deb=$4 shared_deb=$5 node=$6 tools_deb=${7:-}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
PATH=$(dirname "$node"):$PATH:/usr/sbin:/sbin
mkdir -p "$out" "$work"/{kernel,initrd,root,busybox,tools,udev}

dpkg-deb --fsys-tarfile "$kernel_deb" | tar -x -C "$work/kernel" ./boot ./lib/modules
dpkg-deb -x "$busybox_deb" "$work/busybox"
busybox=$(find "$work/busybox" -type f -path '*bin/busybox')
version=$(ls "$work/kernel/lib/modules")
modules=$work/kernel/lib/modules/$version
"$busybox" depmod -b "$work/kernel" "$version"
cp "$work/kernel/boot/vmlinuz-$version" "$out/vmlinuz"

# add_modules TREE NAME…: the modules and all that they need; one that is built in is no module.
add_modules() {
  local tree=$1 name files file
  shift
  mkdir -p "$tree/lib/modules/$version"
  for name in "$@"; do
    files=$(sed -n "s|^\(.*/${name//_/[-_]}\.ko[^:]*\):|\1|p" "$modules/modules.dep")
    for file in $files; do
      mkdir -p "$tree/lib/modules/$version/${file%/*}"
      cp -u "$modules/$file" "$tree/lib/modules/$version/$file"
    done
  done
  cp "$modules"/modules.{builtin,builtin.modinfo,order} "$tree/lib/modules/$version/"
  "$busybox" depmod -b "$tree" "$version"
}

# add_program NAME: one of this machine's programs, under the name that it is called by, with its libraries.
add_program() {
  local found file library
  found=$(command -v "$1") || { echo "build-image: no $1 on this machine" >&2; exit 1; }
  file=$(readlink -f "$found")
  rm -f "$root/bin/$1"
  cp -u "$file" "$root/usr/sbin/${file##*/}"
  [ "${file##*/}" = "$1" ] || ln -sf "${file##*/}" "$root/usr/sbin/$1"
  { ldd "$file" || true; } 2>/dev/null | grep -oE '/[^ ]+\.so[^ ]*' | while read -r library; do
    mkdir -p "$root${library%/*}"
    [ -e "$root$library" ] || cp -L "$library" "$root$library"
  done
}

# The first stage finds the disk.
initrd=$work/initrd
mkdir -p "$initrd"/{bin,dev,proc,sys,newroot}
cp "$busybox" "$initrd/bin/busybox"
install -m 755 "$here/initrd-init.sh" "$initrd/init"
add_modules "$initrd" virtio_pci virtio_blk ext4 crc32c_generic
(cd "$initrd" && find . | "$busybox" cpio -o -H newc -R 0:0 2>/dev/null) > "$out/initrd.cpio"

root=$work/root
mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,dev,proc,sys,run,tmp,etc/lvm,var/tmp,suite,mnt,root,opt}
ln -s /run "$root/var/run"
ln -s /run/lock "$root/var/lock"
ln -s /proc/mounts "$root/etc/mtab"
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
for program in node bash dash env lvm lvs lvcreate lvchange lvremove lvrename lvresize lvextend lvreduce lvconvert \
  pvcreate vgcreate vgremove vgrename vgs dmsetup thin_check thin_delta thin_dump thin_restore thin_repair \
  mkfs.ext4 mount umount dd cp date stat sync flock blkdiscard blockdev sha256sum sleep timeout; do
  add_program "$program"
done
# udev, with the library that it shares with systemd alone.
dpkg-deb -x "$udev_deb" "$work/udev"
dpkg-deb -x "$shared_deb" "$work/udev"
shared=$(find "$work/udev" -name 'libsystemd-shared-*.so')
mkdir -p "$root/usr/lib/systemd" "$root/opt/udev"
cp "$shared" "$root/usr/lib/systemd/"
cp "$work/udev/bin/udevadm" "$root/usr/lib/systemd/udevadm"
for name in udevadm systemd-udevd; do
  printf '#!/bin/sh\nLD_LIBRARY_PATH=/usr/lib/systemd exec -a %s /usr/lib/systemd/udevadm "$@"\n' "$name" | sed 's|/bin/sh|/usr/sbin/bash|' > "$root/usr/sbin/$name"
  chmod 755 "$root/usr/sbin/$name"
done
LD_LIBRARY_PATH=${shared%/*} ldd "$work/udev/bin/udevadm" | grep -oE '/[^ ]+\.so[^ ]*' | grep -v "^$work" | while read -r library; do
  mkdir -p "$root${library%/*}"
  [ -e "$root$library" ] || cp -L "$library" "$root$library"
done
cp "$work"/udev/lib/udev/rules.d/{60-block,60-persistent-storage,64-btrfs}.rules "$root/opt/udev/"
cp $(dpkg -L dmsetup lvm2 | grep '/rules\.d/.*\.rules$') "$root/opt/udev/"
for program in dmsetup lvm; do ln -sf "/usr/sbin/$program" "$root/sbin/$program"; done
# busybox's own shell would run its own applets before the programs in PATH.
ln -sf /usr/sbin/dash "$root/bin/sh"
ln -sf /usr/sbin/env "$root/usr/bin/env"
# lvcreate -s asks for dm_snapshot through this path, though a thin snapshot does without it.
ln -sf /bin/busybox "$root/sbin/modprobe"
if [ -n "$tools_deb" ]; then
  dpkg-deb -x "$tools_deb" "$work/tools"
  mkdir -p "$root/opt/thin-tools"
  cp -a "$work/tools/usr/sbin/." "$root/opt/thin-tools/"
fi
cp "$here/lvm.conf" "$root/etc/lvm/lvm.conf"
echo 'root:x:0:0:root:/root:/bin/sh' > "$root/etc/passwd"
echo 'root:x:0:' > "$root/etc/group"
install -m 755 "$here/init.sh" "$root/sbin/init"
add_modules "$root" virtio_pci virtio_blk virtio_console virtio_rng dm_thin_pool dm_snapshot ext4 crc32c_generic

megabytes=$(du -sm --apparent-size "$root" | cut -f1)
rm -f "$out/root.ext4"
truncate -s "$((megabytes + 64))M" "$out/root.ext4"
mkfs.ext4 -q -F -O ^has_journal,^metadata_csum -E root_owner=0:0 -N 8192 -m 0 -d "$root" "$out/root.ext4"
