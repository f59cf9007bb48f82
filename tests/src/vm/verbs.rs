//! The commands that power is cut in, the preparation for each, and the state that each leads to.

use serde_json::{Value, json};

use super::machine::Shell;
use crate::host::{BOOT, FLAKE};

/// The container whose commands are cut.
pub(super) const NAME: &str = "t0";

/// A running container that must not change, and a stopped one whose change settles the other.
pub(super) const OTHERS: [&str; 2] = ["calm", "stopped"];

/// What is not recorded.
pub(super) const NONE: &str = "none";

/// A command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Create,
    Update,
    Rollback,
    Remove,
    RemoveWithState,
}

impl Verb {
    pub(super) const ALL: [Self; 5] =
        [Self::Create, Self::Update, Self::Rollback, Self::Remove, Self::RemoveWithState];

    /// Prepares the container, and returns the words of the command. `started` says whether the container runs.
    pub(super) fn prepare(self, vm: &mut dyn Shell, started: bool, round: usize) -> Result<String, String> {
        let none = state(vm)? == NONE;
        let runs = !none && vm.run(&format!("systemctl is-active systemd-nspawn@{NAME}"))?.status == 0;
        if !none && (self == Self::Create || runs != started) {
            ctl(vm, &format!("remove {NAME} --delete-state"))?;
        }
        let create = match started {
            true => format!("create {NAME} --flake {FLAKE}"),
            false => format!("create {NAME} --flake {FLAKE} --no-start"),
        };
        if self == Self::Create {
            page(vm, started, round)?;
            vm.run(&format!("rm -rf /var/lib/machines/{NAME}"))?.ok()?;
            return Ok(create);
        }
        if none || runs != started {
            page(vm, started, round)?;
            ctl(vm, &create)?;
        }
        // Something that only a removal of the state may delete.
        let data = format!("/var/lib/machines/{NAME}/data");
        let folder = format!("/var/lib/machines/{NAME}");
        vm.run(&format!(
            "mkdir -p {folder}; echo precious > {data}; sync {data} {folder} /var/lib/machines"
        ))?
        .ok()?;
        match self {
            Self::Create => Ok(create),
            Self::Update => {
                page(vm, started, round + 1)?;
                Ok(format!("update {NAME}"))
            }
            Self::Rollback => {
                if generations(vm)?.len() < 2 {
                    page(vm, started, round + 1)?;
                    ctl(vm, &format!("update {NAME}"))?;
                }
                let current = state(vm)?.split(' ').next().and_then(|word| word.parse().ok());
                let other = generations(vm)?.into_iter().find(|number| Some(*number) != current);
                Ok(format!("rollback {NAME} --to {}", other.ok_or("one generation after an update")?))
            }
            Self::Remove => Ok(format!("remove {NAME}")),
            Self::RemoveWithState => Ok(format!("remove {NAME} --delete-state")),
        }
    }

    /// Returns whether the container may be recorded like this after the command.
    pub(super) fn leads_to(self, before: &str, now: &str) -> bool {
        match self {
            Self::Create => before == NONE && now != NONE,
            Self::Update | Self::Rollback => now != NONE && system(now) != system(before),
            Self::Remove | Self::RemoveWithState => now == NONE,
        }
    }

    /// Returns whether the state directory must exist.
    pub(super) fn keeps_data(self) -> bool {
        matches!(self, Self::Update | Self::Rollback | Self::Remove)
    }
}

/// Runs a command of ours that must succeed.
pub(super) fn ctl(vm: &mut dyn Shell, words: &str) -> Result<String, String> {
    let reply = vm.run(&format!("nixos-nspawn {words}"))?;
    reply.ok().map_err(|said| format!("nixos-nspawn {words}: {said}"))
}

/// Returns the recorded generation and system.
pub(super) fn state(vm: &mut dyn Shell) -> Result<String, String> {
    let script = format!(
        r#"[ -e /etc/nixos-nspawn/{NAME}.json ] || {{ echo {NONE}; exit; }}
        jq -r '"\(.generation) \(.toplevel)"' /etc/nixos-nspawn/{NAME}.json"#
    );
    Ok(vm.run(&script)?.ok()?.trim().to_owned())
}

/// Returns the system in a state.
pub(super) fn system(state: &str) -> &str {
    state.split_once(' ').map_or(state, |(_, system)| system)
}

fn generations(vm: &mut dyn Shell) -> Result<Vec<u64>, String> {
    let listed = vm.run(&format!("ls /nix/var/nix/profiles/per-nspawn/{NAME}"))?.ok()?;
    let number = |name: &str| name.strip_prefix("system-")?.strip_suffix("-link")?.parse().ok();
    Ok(listed.lines().filter_map(number).collect())
}

/// Changes the page that the container serves, and so its system.
fn page(vm: &mut dyn Shell, started: bool, round: usize) -> Result<(), String> {
    let file = format!("{FLAKE}/own.json");
    let text = containers(started, &format!("round {round}\n")).to_string().replace('\'', r"'\''");
    vm.run(&format!("printf %s '{text}' > {file}; sync {file} {FLAKE}"))?.ok()?;
    Ok(())
}

/// Returns the containers of the test flake.
pub(super) fn containers(started: bool, page: &str) -> Value {
    let container = |page: &str, start: bool| {
        // There is no manager inside that could be asked.
        let expect = "active";
        let activation =
            json!({"strategy": "restart", "autoStart": start, "expect": expect, "reloadScript": null});
        json!({"boot": BOOT, "page": page, "container": {"activation": activation, "network": "none"}})
    };
    json!({
        NAME: container(page, started),
        "calm": container("calm\n", true),
        "stopped": container("stopped\n", false),
    })
}
