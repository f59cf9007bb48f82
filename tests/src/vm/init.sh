#!/bin/busybox sh
# The first process of the virtual machine: mounts the file system under test and starts systemd.
/bin/busybox mount -t devtmpfs dev /dev
/bin/busybox mount -t proc proc /proc
for word in $(/bin/busybox cat /proc/cmdline); do
    case $word in
        vm.type=*) type=${word#*=} ;;
        vm.options=*) options=${word#*=} ;;
    esac
done
/bin/busybox umount /proc
for module in /disk/*; do /bin/busybox insmod "$module"; done
if [ "$type" = btrfs ]; then
    for module in /btrfs/*; do /bin/busybox insmod "$module"; done
fi
# At an error the kernel panics, and qemu exits.
/bin/busybox mount -t "$type" -o "$options" /dev/vda /root || exit 1
exec /bin/busybox switch_root /root /usr/lib/systemd/systemd
