//! Commands that change a container on a running host, and the preparation for each.

use std::thread;

use serde_json::{Map, Value, json};

use crate::host::{FLAKE, Host, Output, dynamic, light};

/// The containers whose commands are killed in parallel, at different calls.
pub const NAMES: [&str; 4] = ["t0", "t1", "t2", "t3"];

/// A running container that must not change, and one whose change settles the others.
pub const OTHERS: [&str; 2] = ["calm", "stopped"];

/// The container that is copied, which is stopped, and its archive.
const ORIGIN: &str = "origin";
const ARCHIVE: &str = "/root/origin.tar";

/// A command under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// An update that restarts the container.
    UpdateByRestart,
    /// An update that reloads it.
    UpdateByReload,
    /// A rollback to another generation.
    Rollback,
    /// A new container.
    Create,
    /// A removal that keeps the state.
    Remove,
    /// A removal with the state.
    RemoveWithState,
    /// Enables or disables the start with the host.
    Enable,
    /// Applies settings that were edited by hand.
    Activate,
    /// Pins or unpins a generation.
    Pin,
    /// Deletes a generation.
    DeleteGenerations,
    /// Renames the container, which runs.
    Rename,
    /// Copies a container that is stopped.
    Clone,
    /// Unpacks a container from an archive.
    ImportArchive,
}

impl Verb {
    /// All commands, in an order that gives each what it needs.
    pub const ALL: [Self; 13] = [
        Self::UpdateByRestart,
        Self::UpdateByReload,
        Self::Rollback,
        Self::Enable,
        Self::Pin,
        Self::DeleteGenerations,
        Self::Activate,
        Self::Rename,
        Self::Clone,
        Self::ImportArchive,
        Self::Create,
        Self::Remove,
        Self::RemoveWithState,
    ];

    /// Returns the words of the command in docs/decisions/interrupted.md. Some commands have a counterpart, which is killed
    /// in its turn.
    pub fn commands(self) -> &'static [&'static str] {
        match self {
            Self::UpdateByRestart | Self::UpdateByReload => &["update"],
            Self::Rollback => &["rollback"],
            Self::Create => &["create"],
            Self::Remove | Self::RemoveWithState => &["remove"],
            Self::Enable => &["enable", "disable"],
            Self::Activate => &["activate"],
            Self::Pin => &["pin", "unpin"],
            Self::DeleteGenerations => &["delete-generations"],
            Self::Rename => &["rename"],
            Self::Clone => &["clone"],
            Self::ImportArchive => &["import of an archive"],
        }
    }

    /// Prepares the containers and returns the command for each, which changes something. `round` differs in each
    /// call.
    pub fn prepare(self, host: &Host, names: &[String], round: usize) -> Vec<Vec<String>> {
        if matches!(self, Self::UpdateByRestart | Self::UpdateByReload | Self::DeleteGenerations) {
            new_pages(host, &format!("round {round}\n"));
        }
        if matches!(self, Self::Clone | Self::ImportArchive) {
            origin(host);
        }
        let prepare = |name: &str| {
            if host.exists(&intent(&moved(name))) {
                host.ctl_ok(&["rename", &moved(name), name, "--restart"]);
            }
            if !self.makes() && !host.exists(&intent(name)) {
                host.ctl_ok(&["create", name, "--flake", FLAKE]);
            }
            self.prepared(host, name, round)
        };
        thread::scope(|scope| {
            let all: Vec<_> = names.iter().map(|name| scope.spawn(|| prepare(name))).collect();
            all.into_iter().map(|one| one.join().expect("a prepared container")).collect()
        })
    }

    fn prepared(self, host: &Host, name: &str, round: usize) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::UpdateByRestart => words(&["update", name, "--strategy", "restart"]),
            Self::UpdateByReload => words(&["update", name, "--strategy", "dynamic"]),
            Self::Rollback => {
                let other = if host.generation(name) == 1 { newest(host, name) } else { 1 };
                words(&["rollback", name, "--to", &other.to_string()])
            }
            Self::Create => {
                without(host, name);
                words(&["create", name, "--flake", FLAKE])
            }
            Self::Clone => {
                without(host, name);
                words(&["clone", ORIGIN, name])
            }
            Self::ImportArchive => {
                without(host, name);
                words(&["import", "archive", ARCHIVE, "--name", name])
            }
            Self::Rename => words(&["rename", name, &moved(name), "--restart"]),
            Self::Remove => words(&["remove", name]),
            Self::RemoveWithState => words(&["remove", name, "--delete-state"]),
            Self::Enable => {
                let both = ["disable", "enable"];
                host.ctl_ok(&[both[(round + 1) % 2], name]);
                words(&[both[round % 2], name])
            }
            Self::Activate => {
                // `autostart` starts what a kill has stopped, but only if it is enabled.
                host.ctl_ok(&["enable", name]);
                let script = format!(
                    "jq '.container.environment.ROUND = \"{round}\"' {path} > /run/{name} && cat /run/{name} > {path}",
                    path = intent(name)
                );
                host.sh(&script);
                words(&["activate", name, "--strategy", "restart"])
            }
            Self::Pin => {
                let both = ["pin", "unpin"];
                host.ctl_ok(&[both[(round + 1) % 2], name, "1"]);
                words(&[both[round % 2], name, "1"])
            }
            Self::DeleteGenerations => {
                let before = host.generation(name).to_string();
                host.ctl_ok(&["unpin", name, &before]);
                host.ctl_ok(&["update", name, "--strategy", if is_light() { "restart" } else { "dynamic" }]);
                words(&["delete-generations", name, &before])
            }
        }
    }

    /// Returns whether the command makes a container of its name.
    fn makes(self) -> bool {
        matches!(self, Self::Create | Self::Clone | Self::ImportArchive)
    }

    /// Returns the names that containers may have after the command.
    pub fn names(self, names: &[String]) -> Vec<String> {
        let moved = names.iter().filter(|_| self == Self::Rename).map(|name| moved(name));
        names.iter().cloned().chain(moved).collect()
    }

    /// Returns the commands that must succeed after a fault has been settled.
    pub fn again(self, name: &str, words: &[String]) -> Vec<Vec<String>> {
        match self {
            // The container may have been stopped. If it runs with the recorded settings, this changes nothing.
            Self::Activate => {
                vec![vec!["autostart".to_owned()], vec!["activate".to_owned(), name.to_owned()]]
            }
            _ => vec![words.to_vec()],
        }
    }

    /// Returns whether a repeated command was refused because the killed one had already done everything.
    pub fn is_done(self, host: &Host, name: &str, words: &[String], again: &Output) -> bool {
        match self {
            Self::Create => again.stderr.contains("already exists") && host.state(name) == "active",
            Self::Clone | Self::ImportArchive => {
                again.stderr.contains("already exists") && host.exists(&intent(name))
            }
            Self::Rename => {
                again.stderr.contains("there is no container") && host.state(&moved(name)) == "active"
            }
            Self::DeleteGenerations => {
                let number = words.last().map_or("", String::as_str);
                let link = format!("/nix/var/nix/profiles/per-nspawn/{name}/system-{number}-link");
                again.stderr.contains("has no generation") && !host.exists(&link)
            }
            _ => false,
        }
    }

    /// Returns whether docs/decisions/interrupted.md leaves a disagreement to the same command or to `autostart`.
    pub fn leaves(self, line: &str) -> bool {
        let plan = line.starts_with("PID 1 ") || line.ends_with(": PID 1 has another plan");
        let stopped = line.ends_with(": is inactive") || line.ends_with(": is failed");
        match self {
            Self::Enable => plan,
            Self::Activate => plan || stopped,
            // They start nothing.
            Self::Clone | Self::ImportArchive => stopped,
            _ => false,
        }
    }

    /// Returns whether a disagreement stays after the command has been repeated.
    pub fn leaves_at_last(self, line: &str) -> bool {
        matches!(self, Self::Clone | Self::ImportArchive) && self.leaves(line)
    }
}

fn intent(name: &str) -> String {
    format!("/etc/nixos-nspawn/{name}.json")
}

/// Returns the name that a renamed container has.
fn moved(name: &str) -> String {
    format!("moved-{name}")
}

/// Removes a container, with all that it has left.
fn without(host: &Host, name: &str) {
    if host.exists(&intent(name)) {
        host.ctl_ok(&["remove", name, "--delete-state"]);
    }
    host.sh(&format!("rm -rf /var/lib/machines/{name} '/var/lib/machines/.#{name}.lck'"));
}

/// Makes the container that is copied, with state, and its archive.
fn origin(host: &Host) {
    if host.exists(ARCHIVE) {
        return;
    }
    let toplevel = host.intent(OTHERS[1])["toplevel"].as_str().expect("a path").to_owned();
    host.ctl_ok(&["create", ORIGIN, "--profile", &toplevel]);
    host.ctl_ok(&["disable", ORIGIN, "--now"]);
    host.sh(&format!(
        "cd /var/lib/machines/{ORIGIN} && mkdir -p srv && seq 1000 > srv/data && ln -s data srv/link"
    ));
    host.ctl_ok(&["export", ORIGIN, "-o", ARCHIVE]);
}

fn newest(host: &Host, name: &str) -> u64 {
    let script = r"ls /nix/var/nix/profiles/per-nspawn/$0 | sed -n 's/^system-\([0-9]*\)-link$/\1/p' | sort -n | tail -n 1";
    host.ok(&["sh", "-euc", script, name]).trim().parse().expect("a generation")
}

/// Returns whether containers are a shell each in place of a system, so that they start in no time: as
/// NIXOS_NSPAWN_TORTURE_LIGHT says. They cannot be reloaded.
pub fn is_light() -> bool {
    std::env::var_os("NIXOS_NSPAWN_TORTURE_LIGHT").is_some()
}

/// Changes the page that the containers of the flake serve, so that all of them can be reloaded.
pub fn new_pages(host: &Host, page: &str) {
    let own: Map<String, Value> = NAMES
        .iter()
        .chain(&OTHERS)
        .map(|name| {
            let mut settings = if is_light() { light(page) } else { dynamic(page) };
            settings["container"]["activation"]["autoStart"] = json!(true);
            ((*name).to_owned(), settings)
        })
        .collect();
    host.own(&Value::Object(own));
}
