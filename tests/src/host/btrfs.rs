//! File systems in loop devices of a host, such as a btrfs for its containers.

use super::Host;

impl Host {
    /// Mounts an empty btrfs on /var/lib/machines until the host goes down.
    pub fn mount_btrfs(&self) {
        self.make_loop_devices();
        self.sh("truncate -s 400M /var/btrfs.img && mkfs.btrfs -q -f /var/btrfs.img && mkdir -p /var/lib/machines");
        // Other hosts take loop devices as well.
        self.sh("for try in 1 2 3 4 5; do mount -o loop /var/btrfs.img /var/lib/machines && exit; sleep 0.3; done; exit 1");
    }

    /// Makes device nodes for loop devices, which a host in a container does not have.
    pub fn make_loop_devices(&self) {
        let nodes =
            "mknod /dev/loop-control c 10 237 && for n in $(seq 0 63); do mknod /dev/loop$n b 7 $n; done";
        self.sh(&format!("[ -e /dev/loop-control ] || {{ {nodes}; }}"));
    }
}
