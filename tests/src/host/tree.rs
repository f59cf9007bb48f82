//! The Debian trees that throwaway hosts are made from.
//!
//! In: a suite. Out: the path of an unpacked Debian of that suite below `target/hosts`, built with `mmdebstrap` when it
//! is missing or when this file's recipe for it has changed. A tree is built under another name and renamed when it is
//! whole, is never written to afterwards (hosts get copies), and is not removed while a process uses it.

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
    /// Both of them, in the order of their systemd.
    pub const ALL: [Self; 2] = [Self::Trixie, Self::Forky];

    /// The suite's name in the archive.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trixie => "trixie",
            Self::Forky => "forky",
        }
    }

    /// Whether `version` is a systemd this suite is expected to have; forky still moves.
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

/// What is installed beside the essential packages.
const PACKAGES: &str = "busybox-static,curl,dbus,e2fsprogs,iproute2,iputils-ping,jq,libnss-mymachines,mount,nftables,\
    nix-bin,procps,systemd,systemd-container,systemd-resolved,systemd-sysv";

/// There is no network to wait for, no archive to ask and no kernel to set up.
const MASKED: &str = "apt-daily.timer apt-daily-upgrade.timer dev-hugepages.mount dpkg-db-backup.timer fstrim.timer \
    ldconfig.service sys-kernel-debug.mount sys-kernel-tracing.mount systemd-modules-load.service \
    systemd-networkd-wait-online.service";

/// One user builds, without a sandbox (it cannot be had in a container), and nothing is to be had from elsewhere.
const NIX_CONF: &str =
    "experimental-features = nix-command flakes\nsandbox = false\nbuild-users-group =\nsubstituters =\n";

/// Programs of the machine the hosts run on, and the Debian package of each.
const NEEDED: &[(&str, &str)] = &[
    ("mmdebstrap", "mmdebstrap"),
    ("systemd-nspawn", "systemd-container"),
    ("nsenter", "util-linux"),
    ("chattr", "e2fsprogs"),
];

/// Folder for everything about hosts, below the workspace's `target`.
pub(super) fn hosts_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/hosts")
}

/// The tree of `suite`, built now if it has to be. Panics with the reason when it cannot be had.
pub fn tree(suite: Suite) -> PathBuf {
    // Whatever this process was given stays as it is until the process ends: the open files hold locks.
    static IN_USE: Mutex<Vec<(Suite, PathBuf, File)>> = Mutex::new(Vec::new());
    check_machine();
    let dir = hosts_dir();
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("{}: cannot be made: {e}", dir.display()));
    let dir = dir.canonicalize().expect("just made");
    // Test programs run side by side, and the tests in them; one builds.
    let lock = File::create(dir.join(format!("{suite}.lock"))).expect("lock file");
    flock(&lock, FlockOperation::LockExclusive).expect("flock");
    let in_use = || IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, path, _)) = in_use().iter().find(|(of, ..)| *of == suite) {
        return path.clone();
    }

    // Another recipe makes another tree: hosts of an older test program may still run on the old one.
    let arguments = arguments(suite);
    let mut hasher = DefaultHasher::new();
    arguments.hash(&mut hasher);
    let path = dir.join(format!("{suite}-{:016x}", hasher.finish()));
    if !path.exists() {
        remove_unused(&dir, suite);
        build(suite, &arguments, &path);
    }
    let recipe = File::open(path.join("recipe")).expect("the recipe is in it");
    flock(&recipe, FlockOperation::LockShared).expect("flock");
    in_use().push((suite, path.clone(), recipe));
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

/// Removes the suite's other trees that no host runs on, and unfinished ones.
fn remove_unused(dir: &Path, suite: Suite) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let named = entry.file_name().to_string_lossy().starts_with(&format!("{suite}-"));
        let used = File::open(path.join("recipe"))
            .is_ok_and(|recipe| flock(&recipe, FlockOperation::NonBlockingLockExclusive).is_err());
        if named && path.is_dir() && !used {
            let _ = fs::remove_dir_all(path);
        }
    }
}

fn arguments(suite: Suite) -> Vec<String> {
    let mut arguments = vec![
        "--quiet".into(),
        "--variant=apt".into(),
        r#"--aptopt=Acquire::Retries "5""#.into(),
        format!("--include={PACKAGES}"),
        "--dpkgopt=path-exclude=/usr/share/doc/*".into(),
        "--dpkgopt=path-exclude=/usr/share/man/*".into(),
        "--dpkgopt=path-exclude=/usr/share/locale/*".into(),
        r#"--customize-hook=chroot "$1" systemctl enable systemd-networkd.service systemd-resolved.service"#
            .into(),
        format!(r#"--customize-hook=chroot "$1" systemctl mask {MASKED}"#),
        r#"--customize-hook=mkdir -p "$1/nix" "$1/etc/nix" "$1/var/log/journal""#.into(),
        format!(r#"--customize-hook=printf '{}' > "$1/etc/nix/nix.conf""#, NIX_CONF.replace('\n', "\\n")),
        // systemd-update-done.service and what it guards would otherwise run at the first boot of every copy.
        r#"--customize-hook=touch "$1/etc/.updated" "$1/var/.updated""#.into(),
    ];
    if suite == Suite::Forky {
        // A suite in preparation is not published again every week.
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

/// systemd, D-Bus and networkd hold a handful of inotify instances in each host and each container, all on the account of
/// this machine's root, whose default of 128 ends at some twenty containers ("Too many open files").
fn raise_inotify_limit() {
    const ENOUGH: u32 = 1024;
    let path = "/proc/sys/fs/inotify/max_user_instances";
    let now: u32 = fs::read_to_string(path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(ENOUGH);
    if now < ENOUGH {
        eprintln!("{path}: raised from {now} to {ENOUGH} until this machine restarts");
        fs::write(path, ENOUGH.to_string()).unwrap_or_else(|e| panic!("{path}: cannot be raised: {e}"));
    }
}
