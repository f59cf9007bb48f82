//! The command line of qemu: the machine, its kernel's parameters, and the units that it does without.

use std::path::Path;
use std::process::{Command, Stdio};

use super::image::{Image, SMALL};

/// Units that power cuts do not need. All of them would take most of the boot.
const MASKED: &str = "systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket \
    systemd-udevd-varlink.socket systemd-udev-trigger.service systemd-udev-load-credentials.service \
    systemd-networkd.service systemd-networkd.socket systemd-networkd-varlink.socket systemd-resolved.service \
    systemd-tmpfiles-setup.service systemd-tmpfiles-setup-dev.service systemd-tmpfiles-setup-dev-early.service \
    systemd-journal-flush.service systemd-random-seed.service systemd-pcrphase.service \
    systemd-pcrphase-sysinit.service systemd-binfmt.service systemd-sysctl.service kmod-static-nodes.service \
    dev-mqueue.mount sys-fs-fuse-connections.mount sys-kernel-config.mount modprobe@.service \
    proc-sys-fs-binfmt_misc.automount";

/// What is started, and with how much memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Boot {
    /// systemd with D-Bus, the journal and the containers.
    Small,
    /// Everything that is enabled.
    Full,
}

/// Returns the command that starts a machine on a disk.
pub(super) fn qemu(image: &Image, disk: &Path, boot: Boot) -> Command {
    // ext4 would write everything after 5 seconds; btrfs does after 30 by default. The check of the timer counts loops,
    // and fails under emulation.
    let mut append = format!(
        "console=ttyS0 no_timer_check panic=-1 mitigations=off quiet vm.type={} vm.options=rw,commit=30",
        image.file_system
    );
    if boot == Boot::Small {
        append += &format!(" systemd.unit={SMALL}");
        for unit in MASKED.split_whitespace() {
            append += &format!(" systemd.mask={unit}");
        }
    }
    let [memory, processors] = match boot {
        Boot::Small => ["768", "1"],
        Boot::Full => ["2048", "2"],
    };
    let at = |extension: &str| disk.with_extension(extension).display().to_string();
    // The machine ends with the thread that started it.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64", "-machine", "q35", "-cpu", "max", "-nodefaults"]);
    // The clock counts instructions, 4 ns each: if this machine is busy, the time of the guest passes more slowly, and
    // nothing times out there.
    qemu.args(["-accel", "tcg,thread=single,tb-size=256", "-icount", "shift=2"]);
    qemu.args(["-display", "none", "-no-reboot"]);
    qemu.args(["-m", memory, "-smp", processors, "-append", &append]);
    qemu.arg("-kernel").arg(image.kernel()).arg("-initrd").arg(image.initial());
    qemu.arg("-serial").arg(format!("file:{}", at("console")));
    qemu.arg("-drive").arg(format!("file={},if=none,id=disk,format=qcow2,cache=writeback", disk.display()));
    qemu.args([
        "-device",
        "virtio-blk-pci,drive=disk,write-cache=on",
        "-device",
        "virtio-serial-pci",
        "-chardev",
    ]);
    qemu.arg(format!("socket,path={},server=on,wait=off,id=agent", at("agent")));
    qemu.args(["-device", "virtserialport,chardev=agent,name=agent"]);
    qemu.arg("-qmp").arg(format!("unix:{},server=on,wait=off", at("monitor")));
    qemu.stdin(Stdio::null()).stdout(Stdio::null());
    qemu
}
