//! The Debian trees that throwaway hosts are made from.
//!
//! A tree is an unpacked Debian below `target/hosts`, built with `mmdebstrap` if it is missing or if the recipe in this
//! file has changed. It is built under another name and renamed when it is complete, never written to afterwards (hosts
//! get copies), and not removed while a process uses it.

use super::command::{Timeout, run};
use rustix::fs::{FlockOperation, flock};
use std::fmt;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A Debian suite a host can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suite {
    /// Debian 13, systemd 257.
    Trixie,
    /// Debian's next release, systemd 262 or newer.
    Forky,
}

impl Suite {
    /// Both suites, in the order of their systemd versions.
    pub const ALL: [Self; 2] = [Self::Trixie, Self::Forky];

    /// Returns the suite's name in the archive.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trixie => "trixie",
            Self::Forky => "forky",
        }
    }

    /// Whether this suite is expected to have systemd `version`; forky still changes.
    pub fn has_systemd(self, version: u32) -> bool {
        match self {
            Self::Trixie => version == 257,
            Self::Forky => version >= 262,
        }
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Packages installed in addition to the essential ones.
const PACKAGES: &str = "btrfs-progs,busybox-static,curl,dbus,e2fsprogs,git,iproute2,iputils-ping,jq,libnss-mymachines,mount,nftables,\
    nix-bin,procps,systemd,systemd-container,systemd-resolved,systemd-sysv";

/// Packages installed in addition on a host with a kernel of its own.
const WITH_KERNEL: &str = "kmod,libpam-systemd,udev";

/// Packages installed in addition on a host whose network is not networkd's.
const WITH_MANAGERS: &str = "ifupdown,network-manager";

/// Packages installed in addition on hosts that reach each other by ssh.
const WITH_SSH: &str = "openssh-client,openssh-server,sudo";

/// Units without a purpose on a throwaway host: it has no network to wait for, no archive, no kernel to set up and no volumes.
const MASKED: &str = "apt-daily.timer apt-daily-upgrade.timer dev-hugepages.mount dpkg-db-backup.timer e2scrub_reap.service \
    fstrim.timer ldconfig.service modprobe@.service sys-kernel-debug.mount sys-kernel-tracing.mount \
    systemd-modules-load.service systemd-networkd-wait-online.service";

/// Nix builds as one user, without a sandbox (impossible in a container) and without substituters.
const NIX_CONF: &str =
    "experimental-features = nix-command flakes\nsandbox = false\nbuild-users-group =\nsubstituters =\n";

/// Programs needed on this machine, and their Debian packages.
const NEEDED: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("nsenter", "util-linux"),
    ("chattr", "e2fsprogs"),
];

/// Returns the directory for everything about hosts, in the workspace's `target`.
pub(super) fn hosts_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/hosts")
}

/// Returns the tree of `suite`, and builds it if necessary. Panics with the reason if that fails.
pub fn tree(suite: Suite) -> PathBuf {
    tree_named(suite.name(), suite, PACKAGES)
}

/// Does the same for the tree of a virtual machine, which has udev in addition, but no kernel.
pub(crate) fn machine_tree(suite: Suite) -> PathBuf {
    tree_named(&format!("vm-{suite}"), suite, &format!("{PACKAGES},{WITH_KERNEL}"))
}

/// Does the same for the tree of a host with NetworkManager and ifupdown, both disabled.
pub(super) fn managers_tree(suite: Suite) -> PathBuf {
    tree_named(&format!("net-{suite}"), suite, &format!("{PACKAGES},{WITH_MANAGERS}"))
}

/// Does the same for the tree of a host with ssh. The older suite has ansible as well, the other what ansible needs there.
pub(super) fn fleet_tree(suite: Suite) -> PathBuf {
    let ansible = match suite {
        Suite::Trixie => "ansible-core",
        Suite::Forky => "python3",
    };
    tree_named(&format!("fleet-{suite}"), suite, &format!("{PACKAGES},{WITH_SSH},{ansible}"))
}

fn tree_named(label: &str, suite: Suite, packages: &str) -> PathBuf {
    // A tree that this process uses is kept until the process ends: the open files hold locks.
    static IN_USE: Mutex<Vec<(String, PathBuf, File)>> = Mutex::new(Vec::new());
    check_machine();
    let dir = hosts_dir();
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: cannot be made: {e}", dir.display()));
    let dir = dir.canonicalize().expect("just made");
    // Test programs and their tests run in parallel; only one builds.
    let lock = File::create(dir.join(format!("{label}.lock"))).expect("lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("flock");
    let in_use = || IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, path, _)) = in_use().iter().find(|(of, ..)| of == label) {
        return path.clone();
    }

    // A changed recipe makes a new tree: hosts of an older test program may still use the old one.
    let arguments = arguments(suite, packages);
    let mut hasher = DefaultHasher::new();
    arguments.hash(&mut hasher);
    let path = dir.join(format!("{label}-{:016x}", hasher.finish()));
    if !path.exists() {
        remove_unused(&dir, label);
        build(suite, &arguments, &path);
    }
    let recipe = File::open(path.join("recipe")).expect("the recipe is in it");
    flock(&recipe, FlockOperation::LockShared).expect("flock");
    in_use().push((label.to_owned(), path.clone(), recipe));
    path
}

fn build(suite: Suite, arguments: &[String], path: &Path) {
    eprintln!("building a Debian {suite} in {} …", path.display());
    let unfinished = path.with_extension(format!("{}-unfinished", std::process::id()));
    let mut command = Command::new("mmdebstrap");
    command.args(arguments).arg(suite.name()).arg(&unfinished);
    let output = run(&mut command, None, Timeout::after(Duration::from_secs(600)));
    assert!(output.success(), "no Debian {suite} could be made for the host tests: {output}");
    fs::write(unfinished.join("recipe"), arguments.join("\n")).expect("recipe");
    fs::rename(&unfinished, path).expect("rename of the tree");
}

/// Removes other trees of this label that no host uses, and unfinished ones.
fn remove_unused(dir: &Path, label: &str) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let named = entry.file_name().to_string_lossy().starts_with(&format!("{label}-"));
        let used = File::open(path.join("recipe"))
            .is_ok_and(|recipe| flock(&recipe, FlockOperation::NonBlockingLockExclusive).is_err());
        if named && path.is_dir() && !used {
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn arguments(suite: Suite, packages: &str) -> Vec<String> {
    let mut arguments = vec![
        "--quiet".into(),
        "--variant=apt".into(),
        r#"--aptopt=Acquire::Retries "5""#.into(),
        format!("--include={packages}"),
        "--dpkgopt=path-exclude=/usr/share/doc/*".into(),
        "--dpkgopt=path-exclude=/usr/share/man/*".into(),
        "--dpkgopt=path-exclude=/usr/share/locale/*".into(),
        r#"--customize-hook=chroot "$1" systemctl enable systemd-networkd.service systemd-resolved.service"#
            .into(),
        format!(r#"--customize-hook=chroot "$1" systemctl mask {MASKED}"#),
        r#"--customize-hook=mkdir -p "$1/nix" "$1/etc/nix" "$1/var/log/journal""#.into(),
        format!(r#"--customize-hook=printf '{}' > "$1/etc/nix/nix.conf""#, NIX_CONF.replace('\n', "\\n")),
        // Otherwise systemd-update-done.service and the units it guards would run at the first boot of every copy.
        r#"--customize-hook=touch "$1/etc/.updated" "$1/var/.updated""#.into(),
    ];
    if suite == Suite::Forky {
        // The release file of a suite in preparation may have expired.
        arguments.push(r#"--aptopt=Acquire::Check-Valid-Until "false""#.into());
    }
    arguments
}

fn check_machine() {
    assert!(rustix::process::geteuid().is_root(), "the host tests boot containers: run them as root");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|(program, _)| !std::env::split_paths(&path).any(|dir| dir.join(program).exists()))
        .map(|(_, package)| *package)
        .collect();
    raise_inotify_limit();
    assert!(
        missing.is_empty(),
        "the host tests need the Debian packages {}: apt-get install them",
        missing.join(" ")
    );
}

/// Raises the limit on inotify instances. systemd, D-Bus and networkd use several in each host and container, all on
/// this machine's root account, and the default of 128 is exceeded by about twenty containers ("Too many open files").
fn raise_inotify_limit() {
    const ENOUGH: u32 = 1024;
    let path = "/proc/sys/fs/inotify/max_user_instances";
    let now: u32 = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(ENOUGH);
    if now < ENOUGH {
        eprintln!("{path}: raised from {now} to {ENOUGH} until this machine restarts");
        fs::write(path, ENOUGH.to_string()).unwrap_or_else(|e| panic!("{path}: cannot be raised: {e}"));
    }
}
