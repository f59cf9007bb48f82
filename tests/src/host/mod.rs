//! Throwaway hosts: a real Debian with a real systemd, nspawn, networkd and Nix, booted in namespaces.
//!
//! A host runs commands, can be rebooted with its files, and leaves nothing behind when it is dropped. Several run side by
//! side, each with its own network, /etc, /var and /nix; /usr is the suite's tree itself, mounted read-only. Nothing is
//! written to the machine outside `target/hosts` and the control groups, except for one kernel limit that is raised if
//! it is too low.

mod bins;
mod boot;
mod btrfs;
mod cgroup;
mod command;
mod container;
mod corpora;
mod fleet;
mod import;
mod recorded;
mod stale;
mod traces;
mod tree;
mod watch;

pub use bins::{Bins, bins};
pub use command::{Output, Timeout};
pub use container::{FLAKE, NIXPKGS, unit};
pub use corpora::systemd_corpora;
pub use fleet::{CONTROLLER, Fleet};
pub use recorded::{BOOT, dynamic, light};
pub use tree::{Suite, tree};

pub(crate) use command::run;
pub(crate) use tree::machine_tree;

use boot::{Files, Machine, copy_tree, in_cgroup, start, watchdog};
use cgroup::Cgroup;
use stale::Place;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Makes two tests of each function, one on a host of each suite. The function gets the host as its argument.
#[macro_export]
macro_rules! on_both_hosts {
    ($($name:ident),* $(,)?) => { $(
        mod $name {
            use $crate::host::{Host, Suite};

            #[test]
            fn trixie() {
                super::$name(&Host::boot(Suite::Trixie));
            }

            #[test]
            fn forky() {
                super::$name(&Host::boot(Suite::Forky));
            }
        }
    )* };
}

/// The default time limit of a command.
const PATIENCE: Duration = Duration::from_secs(60);

/// nspawn's exit status when the system in it asks for a reboot (systemd-nspawn(1), --keep-unit).
const REBOOT: i32 = 133;

/// A booted host.
pub struct Host {
    suite: Suite,
    name: String,
    dir: PathBuf,
    files: Files,
    cgroup: Cgroup,
    machine: Mutex<Machine>,
    systemd: u32,
    /// Kills the host when this process ends for any reason.
    watchdog: Child,
    /// Held while the host is in use.
    _lock: File,
}

impl Host {
    /// Makes and boots a host of `suite`, whose files are in memory. Panics with the reason if that fails.
    pub fn boot(suite: Suite) -> Self {
        Self::boot_shared(suite, Place::Memory)
    }

    /// Does the same with its files on this machine's disk, for measurements, and for what does not fit into memory.
    pub fn boot_on_disk(suite: Suite) -> Self {
        Self::boot_shared(suite, Place::Disk)
    }

    fn boot_shared(suite: Suite, place: Place) -> Self {
        let (host, state) = Self::boot_files(suite, Files::Tree(tree(suite)), place);
        let failed = || host.run(&["systemctl", "--failed"]);
        assert_eq!(state, "running", "{}: not all is well: {}", host.name, failed());
        assert!(suite.has_systemd(host.systemd), "{suite} is not expected to have systemd {}", host.systemd);
        host
    }

    /// Makes and boots a host of `suite` that can write to /usr, for packages.
    pub fn boot_with_own_usr(suite: Suite) -> Self {
        let (host, state) = Self::boot_files(suite, Files::Overlay(tree(suite)), Place::Memory);
        assert_eq!(state, "running", "{}: not all is well", host.name);
        host
    }

    /// Makes and boots a host of `suite` that has NetworkManager and ifupdown, neither of them enabled.
    pub fn boot_with_managers(suite: Suite) -> Self {
        Self::boot_files(suite, Files::Tree(tree::managers_tree(suite)), Place::Memory).0
    }

    /// Makes and boots a host of `suite` that has ssh.
    pub(crate) fn boot_with_ssh(suite: Suite) -> Self {
        Self::boot_files(suite, Files::Tree(tree::fleet_tree(suite)), Place::Memory).0
    }

    /// Returns the process whose namespaces are those of the host.
    pub(crate) fn leader(&self) -> u32 {
        self.machine.lock().expect("no panic while held").leader
    }

    /// Boots a host of `suite` whose files are on a disk. Units that need a kernel of their own may fail.
    pub(crate) fn boot_disk(suite: Suite, disk: &Path) -> Self {
        Self::boot_files(suite, Files::Disk(disk.to_owned()), Place::Disk).0
    }

    fn boot_files(suite: Suite, files: Files, place: Place) -> (Self, String) {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        stale::clean();
        let name = format!("{suite}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let dir = stale::runs_dir().join(&name);
        let lock = stale::claim(&dir, place);
        match &files {
            Files::Tree(tree) | Files::Overlay(tree) => copy_tree(tree, &dir.join("root")),
            Files::Disk(_) => fs::create_dir(dir.join("root")).expect("own folder"),
        }

        let cgroup = Cgroup::named(&name);
        cgroup.make();
        let watchdog = watchdog(&cgroup, &dir);
        let machine = Mutex::new(start(&name, &dir, &files, &cgroup));
        let mut host = Self { suite, name, dir, files, cgroup, machine, systemd: 0, watchdog, _lock: lock };

        let state = host.wait_booted();
        let version = host.ok(&["systemctl", "--version"]);
        let version = version.lines().next().unwrap_or_default();
        host.systemd = version.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
        eprintln!("host {}: {version}, {}", host.name, host.ok(&["nix", "--version"]).trim());
        (host, state)
    }

    /// Returns the suite of the host.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// Returns the version of its systemd, for expectations that differ between versions.
    pub fn systemd(&self) -> u32 {
        self.systemd
    }

    /// Runs a command on the host as root. Returns its exit status and output. Panics if it takes too long.
    pub fn run(&self, command: &[&str]) -> Output {
        self.run_with(command, None, PATIENCE)
    }

    /// Does the same with standard input and another time limit.
    pub fn run_with(&self, command: &[&str], input: Option<&[u8]>, patience: Duration) -> Output {
        let mut enter = self.enter();
        command::run(enter.args(command), input, Timeout::after(patience))
    }

    /// Runs a command that must succeed. Returns its standard output, or panics with all output and the end of the journal.
    pub fn ok(&self, command: &[&str]) -> String {
        let output = self.run(command);
        assert!(output.success(), "{}: failed: {output}{}", self.name, self.journal(40));
        output.stdout
    }

    /// Runs a shell script that must succeed and stops at the first command that fails. Returns its standard output.
    pub fn sh(&self, script: &str) -> String {
        self.ok(&["sh", "-euc", script])
    }

    /// Returns the text of a file on the host.
    pub fn file(&self, path: &str) -> String {
        self.ok(&["cat", "--", path])
    }

    /// Whether a path exists; a dangling link counts.
    pub fn exists(&self, path: &str) -> bool {
        self.run(&["sh", "-c", r#"[ -e "$0" ] || [ -L "$0" ]"#, path]).success()
    }

    /// Writes a file on the host and creates its parent directories.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>, mode: u32) {
        let script = r#"mkdir -p "$(dirname "$0")" && cat > "$0" && chmod "$1" "$0""#;
        let output = self.run_with(
            &["sh", "-euc", script, path, &format!("{mode:o}")],
            Some(text.as_ref()),
            Duration::from_secs(60),
        );
        assert!(output.success(), "{}: {path} cannot be written: {output}", self.name);
    }

    /// Copies a file of the machine to the host.
    pub fn copy_in(&self, from: &Path, to: &str, mode: u32) {
        self.write(to, fs::read(from).unwrap_or_else(|e| panic!("{}: {e}", from.display())), mode);
    }

    /// Waits until a condition holds. Panics with `what` on a timeout.
    pub fn wait_until(&self, what: &str, condition: impl FnMut() -> bool) {
        command::wait_until(what, Timeout::after(PATIENCE), condition);
    }

    /// Reboots the host as `systemctl reboot` does and waits until it is up again. Returns systemd's state: `running`, or
    /// `degraded` if a unit failed.
    pub fn reboot(&self) -> String {
        self.cgroup.kill_entered();
        {
            let mut machine = self.machine.lock().expect("no panic while held");
            // SIGRTMIN+5 to a system's first process starts reboot.target (systemd(1)).
            let pid = machine.leader.to_string();
            let mut kill = Command::new("kill");
            let killed = command::run(kill.args(["-s", "RTMIN+5", &pid]), None, Timeout::after(PATIENCE));
            assert!(killed.success(), "{}: {killed}", self.name);
            let timeout = Timeout::after(Duration::from_secs(150));
            let mut status = None;
            command::wait_until("the host has gone down for a reboot", timeout, || {
                status = machine.nspawn.try_wait().expect("wait");
                status.is_some()
            });
            let status = status.and_then(|status| status.code());
            assert_eq!(
                status,
                Some(REBOOT),
                "{}: ended, but not for a reboot: {}",
                self.name,
                self.console()
            );
            *machine = start(&self.name, &self.dir, &self.files, &self.cgroup);
        }
        self.wait_booted()
    }

    /// Kills the host at once, like a power failure, and boots it again.
    pub fn power_cut(&self) -> String {
        {
            let mut machine = self.machine.lock().expect("no panic while held");
            self.cgroup.remove();
            let _ = machine.nspawn.wait();
            self.cgroup.make();
            *machine = start(&self.name, &self.dir, &self.files, &self.cgroup);
        }
        self.wait_booted()
    }

    /// Returns the last lines of the journal of this boot, or of the console if there is no journal.
    pub fn journal(&self, lines: u32) -> String {
        let output = self.run(&["journalctl", "--boot", "--no-pager", "--lines", &lines.to_string()]);
        if output.success() { format!("--- journal\n{}", output.stdout) } else { self.console() }
    }

    /// Returns the directory of the host on this machine; its files are in `root` there, and /usr/local in `local`.
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// Writes a program that runs its arguments on the host as root, in this boot, and returns its path.
    pub fn entry(&self) -> PathBuf {
        let enter = self.enter();
        let words: Vec<String> = std::iter::once(enter.get_program())
            .chain(enter.get_args())
            .map(|word| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''")))
            .collect();
        let path = self.dir.join("enter");
        fs::write(&path, format!("#!/bin/sh\nexec {} \"$@\"\n", words.join(" "))).expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("own file");
        path
    }

    /// Returns the IPv4 addresses and routes of the host, for a failed test.
    pub fn addresses(&self) -> String {
        let ip = |what: &str| self.run(&["ip", "-4", "-o", what]).stdout;
        format!("--- addresses\n{}--- routes\n{}", ip("address"), ip("route"))
    }

    fn console(&self) -> String {
        let text = fs::read(self.dir.join("console")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        format!("--- console\n{}\n", lines[lines.len().saturating_sub(40)..].join("\n"))
    }

    /// Returns a command that runs its arguments on the host.
    fn enter(&self) -> Command {
        let leader = self.machine.lock().expect("no panic while held").leader.to_string();
        let mut command = in_cgroup(&self.cgroup.entered_procs());
        command.args([
            "nsenter",
            "-t",
            &leader,
            "-a",
            "--",
            "env",
            "-i",
            "HOME=/root",
            "LANG=C.UTF-8",
            "TERM=dumb",
        ]);
        command.arg("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin");
        command
    }

    fn wait_booted(&self) -> String {
        let mut state = String::new();
        command::wait_until("the host is up", Timeout::after(Duration::from_secs(180)), || {
            let mut enter = self.enter();
            let patience = Timeout::after(Duration::from_secs(150));
            let output =
                command::run(enter.args(["systemctl", "is-system-running", "--wait"]), None, patience);
            state = output.stdout.trim().to_owned();
            let gone =
                self.machine.lock().expect("no panic while held").nspawn.try_wait().expect("wait").is_some();
            assert!(!gone, "{}: the host ended while it booted: {}", self.name, self.console());
            ["running", "degraded"].contains(&state.as_str())
        });
        state
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Best effort: a second panic would abort the test program and leave the host behind.
            let journal = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                format!("{}{}", self.journal(60), self.addresses())
            }));
            eprintln!("host {}:\n{}", self.name, journal.unwrap_or_default());
        }
        self.cgroup.remove();
        if let Ok(machine) = self.machine.get_mut() {
            let _ = machine.nspawn.wait();
        }
        let _ = self.watchdog.kill();
        let _ = self.watchdog.wait();
        stale::remove_dir(&self.dir);
    }
}
