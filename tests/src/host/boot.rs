//! Boots a host: copies a suite's tree, starts an nspawn whose first process is the host's systemd, and guards it with a
//! watchdog. Each boot is a new nspawn on the same files.

use super::PATIENCE;
use super::cgroup::Cgroup;
use super::command::{self, Timeout};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// One boot of a host.
pub(super) struct Machine {
    pub(super) nspawn: Child,
    /// Process id of the host's first process.
    pub(super) leader: u32,
}

/// Where the files of a host come from.
pub(super) enum Files {
    /// They are copied from this tree, whose /usr they share.
    Tree(PathBuf),
    /// Likewise, but what the host writes to /usr is kept in its directory.
    Overlay(PathBuf),
    /// They are on this disk, which only the host mounts.
    Disk(PathBuf),
}

/// Copies the tree except /usr, but including /usr/local.
pub(super) fn copy_tree(tree: &Path, root: &Path) {
    let mut cp = Command::new("cp");
    cp.args(["-a", "--reflink=auto", "-t"]).arg(root);
    fs::create_dir_all(root.join("usr/lib")).expect("root of the host");
    for entry in fs::read_dir(tree).expect("tree").flatten() {
        if !["usr", "dev", "proc", "run", "sys", "tmp", "recipe"]
            .map(OsStr::new)
            .contains(&entry.file_name().as_os_str())
        {
            cp.arg(entry.path());
        }
    }
    let output = command::run(&mut cp, None, Timeout::after(PATIENCE));
    assert!(output.success(), "the host's files cannot be copied: {output}");
    // Not below the root: nspawn mounts /usr there before it looks for this file.
    let mut cp = Command::new("cp");
    cp.arg("-a").arg(tree.join("usr/local")).arg(root.with_file_name("local"));
    assert!(command::run(&mut cp, None, Timeout::after(PATIENCE)).success(), "/usr/local cannot be copied");
    // nspawn looks for this file before it mounts /usr.
    fs::copy(tree.join("usr/lib/os-release"), root.join("usr/lib/os-release")).expect("os-release");
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("uuid").replace('-', "");
    fs::write(root.join("etc/machine-id"), id).expect("machine-id");
    fs::write(root.join("etc/hostname"), "host\n").expect("hostname");
}

/// Boots the system in `dir`/root and finds its first process.
pub(super) fn start(name: &str, dir: &Path, files: &Files, cgroup: &Cgroup) -> Machine {
    let root = dir.join("root");
    let console = File::options().create(true).append(true).open(dir.join("console")).expect("console");
    let mut nspawn = in_cgroup(&cgroup.procs());
    if let Files::Disk(disk) = files {
        let mount = r#"mount -o loop "$0" "$1" && shift && exec "$@""#;
        nspawn.args(["unshare", "--mount", "--propagation", "private", "sh", "-c", mount]);
        nspawn.arg(disk).arg(&root);
    }
    nspawn
        .arg("systemd-nspawn")
        .args(["--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe", "--private-network"])
        .args(["--capability=all", "--system-call-filter=@mount bpf keyctl"])
        .arg(format!("--machine={name}"))
        .arg(format!("--directory={}", root.display()))
        .env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1")
        .stdin(Stdio::null())
        .stdout(console.try_clone().expect("dup"))
        .stderr(console)
        .process_group(0);
    if let Files::Tree(tree) = files {
        nspawn
            .arg(format!("--bind-ro={}:/usr", tree.join("usr").display()))
            .arg(format!("--bind={}:/usr/local", dir.join("local").display()));
    }
    if let Files::Overlay(tree) = files {
        let upper = dir.join("usr");
        fs::create_dir_all(&upper).expect("own directory");
        nspawn.arg(format!("--overlay={}:{}:/usr", tree.join("usr").display(), upper.display()));
    }
    let mut nspawn = nspawn.spawn().expect("nspawn");
    let pid = nspawn.id();
    let mut leader = None;
    command::wait_until("nspawn has started the host", Timeout::after(PATIENCE), || {
        if let Some(status) = nspawn.try_wait().expect("wait") {
            let text = fs::read_to_string(dir.join("console")).unwrap_or_default();
            panic!("{name}: nspawn ended at once, {status}:\n{text}");
        }
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        leader = children.split_whitespace().filter_map(|child| child.parse().ok()).find(|child: &u32| {
            fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|comm| comm.trim() == "systemd")
        });
        leader.is_some()
    });
    Machine { nspawn, leader: leader.expect("just seen") }
}

/// Returns a command that runs its arguments in the cgroup of the file `procs`.
pub(super) fn in_cgroup(procs: &Path) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", r#"echo $$ > "$0" && exec "$@""#]).arg(procs);
    command
}

/// Starts a process that kills the host and unmounts its files as soon as the other end of its standard input is closed.
pub(super) fn watchdog(cgroup: &Cgroup, dir: &Path) -> Child {
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"read -r _; echo 1 > "$0"; umount --quiet --lazy "$1""#])
        .arg(cgroup.kill_file())
        .arg(dir);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    command.spawn().expect("sh")
}
