//! Limits, devices, mounts and the environment of the first process, as seen from inside a container and from its host,
//! with and without a user namespace.

use nixos_nspawn_tests::host::{Host, Output, bins, unit};
use nixos_nspawn_tests::on_both_hosts;
use serde_json::json;

on_both_hosts!(limits_devices_and_files);

/// A device without a driver (240 is for local use): opening it gives ENXIO if allowed, otherwise EPERM or EACCES.
const ALLOWED: &str = "No such device or address";

fn limits_devices_and_files(host: &Host) {
    host.install(bins());
    host.sh("mknod -m 0660 /dev/driverless c 240 7
        chgrp 6 /dev/driverless
        mkdir -p /dev/by-name
        ln -s ../driverless /dev/by-name/pci-0000:00:1d
        mknod -m 0600 /dev/own-null c 1 3
        [ -e /dev/fuse ] || mknod -m 0666 /dev/fuse c 10 229
        [ -e /dev/kmsg ] || mknod -m 0644 /dev/kmsg c 1 11
        mkdir -p /srv/data /srv/fixed
        echo fixed > /srv/fixed/file
        echo root > /srv/data/root
        echo user > /srv/data/user
        chown 1000:1000 /srv/data/user
        chmod 0777 /srv/data");
    let options = |mapped: bool| {
        json!({
            "userNamespacing": mapped,
            "memoryMax": "700M",
            "memoryHigh": 629145600,
            "cpuQuota": "150%",
            "cpuWeight": 50,
            "ioWeight": 200,
            "tasksMax": 2000,
            "devices": ["/dev/by-name/pci-0000:00:1d", {"path": "/dev/driverless", "permissions": "r"}, "/dev/own-null:rw"],
            "tun": true,
            "fuse": true,
            "kernelLog": !mapped,
            "capabilities": {"add": ["CAP_IPC_LOCK"], "drop": ["CAP_SYS_CHROOT"]},
            "tmpfs": ["/scratch:size=1M,mode=1777"],
            "bindMounts": [
                {"source": "/srv/data", "destination": "/data"},
                {"source": "/srv/fixed", "readOnly": true},
            ],
            "inaccessiblePaths": ["/var/lib/hidden/deep"],
            "hostname": "other.example",
            "timezone": "copy",
            "resolvConf": "copy-host",
            "environment": {"GREETING": "two 'words' and \"one\" more \\", "EMPTY": ""},
            "oomScoreAdjust": 500,
            "rlimits": {"NOFILE": "1024:2048", "MSGQUEUE": "64K"},
        })
    };
    let own = json!({"plain": {"container": options(false)}, "mapped": {"container": options(true)}});
    host.own(&own);
    for name in ["plain", "mapped"] {
        host.create(name);
        limits(host, name);
        first_process(host, name);
        devices(host, name);
        files(host, name);
    }
    kernel_log(host);
    refused_starts(host);
}

/// Runs a script as a service inside, with all restrictions of the container.
fn service(host: &Host, name: &str, script: &str) -> Output {
    let machine = format!("--machine={name}");
    host.run(&[
        "systemd-run",
        &machine,
        "--wait",
        "--pipe",
        "--quiet",
        "/bin/sh",
        "-c",
        &format!("exec 2>&1; {script}"),
    ])
}

fn says(host: &Host, name: &str, script: &str, expected: &str) {
    let output = service(host, name, script);
    assert!(output.stdout.contains(expected), "{name}: {script}: not '{expected}' but {output}");
}

fn limits(host: &Host, name: &str) {
    for (property, expected) in [
        ("MemoryMax", "734003200"),
        ("MemoryHigh", "629145600"),
        ("CPUQuotaPerSecUSec", "1.500000s"),
        ("CPUWeight", "50"),
        ("IOWeight", "200"),
        ("TasksMax", "2000"),
    ] {
        assert!(
            [expected, "1.5s"].contains(&host.property(name, property).as_str()),
            "{name}: {property}={}",
            host.property(name, property)
        );
    }
    // The kernel's values, for the controllers that this machine gives its hosts.
    let controllers = host.file("/sys/fs/cgroup/cgroup.controllers");
    eprintln!("{name}: limits are read back from the kernel for: {}", controllers.trim());
    let folder = format!("/sys/fs/cgroup/machine.slice/{}", unit(name));
    for (controller, file, expected) in [
        ("memory", "memory.max", "734003200"),
        ("memory", "memory.high", "629145600"),
        ("cpu", "cpu.max", "150000 100000"),
        ("cpu", "cpu.weight", "50"),
        ("pids", "pids.max", "2000"),
    ] {
        if controllers.split_whitespace().any(|one| one == controller) {
            assert_eq!(host.file(&format!("{folder}/{file}")).trim(), expected, "{name}: {file}");
        }
    }
}

fn first_process(host: &Host, name: &str) {
    let status = host.inside(name, &["cat", "/proc/1/status"]);
    let bounding = status.lines().find_map(|line| line.strip_prefix("CapBnd:")).expect("a line").trim();
    let bounding = u64::from_str_radix(bounding, 16).expect("hexadecimal");
    let has = |capability: u32| bounding & (1 << capability) != 0;
    // capabilities(7): CAP_IPC_LOCK, CAP_SYS_CHROOT, CAP_SYSLOG.
    assert_eq!([has(14), has(18), has(34)], [true, false, name == "plain"], "{bounding:x}");

    let environment = host.inside(name, &["cat", "/proc/1/environ"]);
    let variables: Vec<&str> = environment.split('\0').collect();
    for variable in ["GREETING=two 'words' and \"one\" more \\", "EMPTY="] {
        assert!(variables.contains(&variable), "{name}: {variables:?}");
    }
    let limits = host.inside(name, &["cat", "/proc/1/limits"]);
    let hard = |limit: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(limit)).expect("a line");
        line.split_whitespace().nth(1).expect("soft and hard").to_owned()
    };
    assert_eq!([hard("Max open files"), hard("Max msgqueue size")], ["2048", "65536"]);
    assert_eq!(host.inside(name, &["cat", "/proc/1/oom_score_adj"]), "500\n");
    assert_eq!(host.inside(name, &["hostname"]), "other.example\n");
    for file in ["/etc/localtime", "/etc/resolv.conf"] {
        assert_eq!(
            host.inside(name, &["sha256sum", file]),
            host.ok(&["sha256sum", file]),
            "{name}: {file} is the host's"
        );
    }
}

fn devices(host: &Host, name: &str) {
    // As on the host: owner, group, mode and number.
    let nodes = "stat -c '%u %g %a %t:%T' /dev/driverless /dev/by-name/pci-0000:00:1d /dev/own-null";
    assert_eq!(service(host, name, nodes).stdout, "0 6 660 f0:7\n0 6 660 f0:7\n0 0 600 1:3\n", "{name}");
    says(host, name, ": < /dev/driverless", ALLOWED);
    says(host, name, "echo x > /dev/own-null && echo written", "written");
    says(host, name, ": <> /dev/by-name/pci-0000:00:1d", ALLOWED);
    // Another device, which was not allowed.
    says(host, name, "mknod /run/other c 240 8", "Operation not permitted");
    says(host, name, ": <> /dev/net/tun && echo open", "open");
    says(host, name, ": <> /dev/fuse && echo open", "open");
    assert_eq!(host.exists(&format!("/run/nixos-nspawn/devices/{name}")), name == "mapped");
}

fn files(host: &Host, name: &str) {
    assert_eq!(
        host.inside(name, &["stat", "-c", "%u", "/data/root", "/data/user", "/srv/fixed/file"]),
        "0\n1000\n0\n"
    );
    // A file made inside has the same owner outside.
    host.inside(
        name,
        &["sh", "-c", "echo a > /data/by-root && echo b > /data/by-user && chown 1000 /data/by-user"],
    );
    assert_eq!(host.sh("cd /srv/data && stat -c %u by-root by-user && rm by-root by-user"), "0\n1000\n");
    says(host, name, "touch /srv/fixed/file", "Read-only file system");
    assert_eq!(host.inside(name, &["cat", "/srv/fixed/file"]), "fixed\n");

    let mounts = host.inside(name, &["cat", "/proc/mounts"]);
    let scratch =
        mounts.lines().find(|line| line.contains(" /scratch tmpfs ")).expect("a temporary file system");
    assert!(scratch.contains("size=1024k"), "{scratch}");
    assert_eq!(host.inside(name, &["stat", "-c", "%u %a", "/scratch"]), "0 1777\n");
    // The missing path was created in the root and is hidden inside, with everything in it.
    host.write(&format!("/var/lib/machines/{name}/var/lib/hidden/deep/key"), "secret\n", 0o644);
    // nspawn hides it with an empty directory that only the host's root may enter.
    let hidden = if name == "mapped" { "Permission denied" } else { "No such file" };
    says(host, name, "cat /var/lib/hidden/deep/key", hidden);
    assert_eq!(host.inside(name, &["stat", "-c", "%u %a", "/var/lib/hidden"]), "0 755\n");
}

fn kernel_log(host: &Host) {
    says(host, "plain", "dmesg > /run/log.txt && [ -s /run/log.txt ] && echo read", "read");
    says(
        host,
        "plain",
        "dd if=/dev/kmsg of=/run/log.txt bs=8192 count=1 2> /dev/null && [ -s /run/log.txt ] && echo read",
        "read",
    );
    says(host, "plain", "echo mine > /dev/kmsg", "Operation not permitted");
    let denied = service(host, "mapped", "cat /dev/kmsg");
    assert!(denied.stdout.contains("No such file"), "{denied}");
}

/// Starts on which nspawn would fail or, worse, continue: the reason is reported, and nothing is created in /dev.
fn refused_starts(host: &Host) {
    let refused = |name: &str, reason: &str| {
        assert!(!host.run(&["systemctl", "start", &unit(name)]).success(), "{name} was to be refused");
        let said = host.unit_journal(name);
        assert!(said.contains(reason), "{name}: not '{reason}' but {said}");
        // Every command that reports on the container shows the reason.
        for command in [&["status", name][..], &["show", name], &["list"]] {
            let told = host.ctl_ok(command);
            assert!(told.stdout.contains(&format!("its last start was refused: {reason}")), "{told}");
        }
        host.ok(&["systemctl", "reset-failed", &unit(name)]);
    };
    host.ok(&["systemctl", "stop", &unit("plain"), &unit("mapped")]);
    assert!(!host.exists("/run/nixos-nspawn/devices/mapped"), "the copies are taken away");
    host.sh("mkdir /srv/data/disk && mount -t tmpfs disk /srv/data/disk && mv /dev/own-null /root/");
    for name in ["plain", "mapped"] {
        refused(name, "/dev/own-null: there is no such device on the host");
        assert!(!host.exists("/dev/own-null") && !host.exists("/run/nixos-nspawn/devices/mapped"));
    }
    host.sh("mkdir /dev/own-null");
    refused("plain", "/dev/own-null: is not a device");
    host.sh("rmdir /dev/own-null && mv /root/own-null /dev/");
    refused("mapped", "/srv/data: '/srv/data/disk' is mounted below it");
    // Without a user namespace this is not a fault: the mount is visible inside.
    host.sh("touch /srv/data/disk/seen");
    host.ok(&["systemctl", "start", &unit("plain")]);
    assert_eq!(host.inside("plain", &["ls", "/data/disk"]), "seen\n");
    host.sh("umount /srv/data/disk");
    host.ok(&["systemctl", "start", &unit("mapped")]);
    assert_eq!(host.inside("mapped", &["cat", "/data/user"]), "user\n");
}
