//! Judges file systems, control groups, and the journal.

use crate::decision::doctor::verdict::{Check, Verdict};
use crate::decision::doctor::words::{containers, counted, listed};
use crate::fact::doctor::file_systems::{ControlGroups, JournalSeen, Mapped};
use crate::fact::doctor::seen::Seen;

/// Judges whether owners can be mapped where that is asked for.
pub(crate) fn mapped(seen: &Seen<Vec<Mapped>>) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("id-mapping");
    let all = match seen {
        Ok(all) => all,
        Err(unseen) => return vec![Verdict::unseen(CHECK, unseen)],
    };
    let mut verdicts = Vec::new();
    for Mapped { source, kind, possible, below, names } in all {
        let names = containers(names);
        if let Some(below) = below {
            let text = format!(
                "{source}: {} is mounted below it, so owners cannot be mapped and {names} cannot start",
                below.display()
            );
            let next = "set 'recursive' of this bind mount to false, and add one for what is below";
            verdicts.push(Verdict::failure(CHECK, text, next));
        } else if !possible {
            let text = format!(
                "{source}: is on a file system of type {kind}, where owners cannot be mapped for {names}"
            );
            let next = match source.starts_with("/nix/") {
                true => "move the store to a local file system, or set userNamespacing to false",
                false => "set 'idmap' of this bind mount to 'noidmap'",
            };
            verdicts.push(Verdict::warning(CHECK, text, next));
        }
    }
    if verdicts.is_empty() {
        let mut kinds: Vec<&str> = all.iter().map(|one| one.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let text = match all.len() {
            0 => "no container maps owners of files".to_owned(),
            count => format!("{} can map owners, on {}", counted(count, "bind source"), listed(&kinds)),
        };
        verdicts.push(Verdict::ok(CHECK, text));
    }
    verdicts
}

/// Judges the control groups.
pub(crate) fn control_groups(seen: &Seen<ControlGroups>) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("cgroups");
    let ControlGroups { kind, controllers, needed } = match seen {
        Ok(seen) => seen,
        Err(unseen) => return vec![Verdict::unseen(CHECK, unseen)],
    };
    if kind != "cgroup2" {
        let text =
            format!("/sys/fs/cgroup: is of type {kind}, not cgroup2, so NixOS does not boot in containers");
        let next = "boot the host without systemd.unified_cgroup_hierarchy=0 and systemd.legacy_systemd_cgroup_controller=1";
        let option = "remove these from boot.kernelParams: systemd.unified_cgroup_hierarchy=0 and \
                      systemd.legacy_systemd_cgroup_controller=1";
        return vec![Verdict::failure(CHECK, text, next).on_nixos(option)];
    }
    let missing = needed.iter().filter(|(controller, _)| !controllers.iter().any(|one| one == controller));
    let verdicts: Vec<Verdict> = missing
        .map(|(controller, name)| {
            let text = format!(
                "/sys/fs/cgroup: has no controller '{controller}', so a limit of container '{name}' has no effect"
            );
            let next = format!("boot the host without cgroup_disable={controller}");
            Verdict::warning(CHECK, text, next)
                .on_nixos(format!("remove \"cgroup_disable={controller}\" from boot.kernelParams"))
        })
        .collect();
    match verdicts.is_empty() {
        true => vec![Verdict::ok(CHECK, "control groups are of version 2")],
        false => verdicts,
    }
}

/// Judges the journal.
pub(crate) fn journal(seen: &JournalSeen) -> Verdict {
    const CHECK: Check = Check::of_host("journal");
    match seen {
        JournalSeen { runs: Err(unseen), .. } => Verdict::unseen(CHECK, unseen),
        JournalSeen { runs: Ok(true), kept: Err(unseen) } => Verdict::unseen(CHECK, unseen),
        JournalSeen { runs: Ok(false), .. } => Verdict::failure(
            CHECK,
            "systemd-journald does not run, so nobody will know why a container has failed",
            "systemctl restart systemd-journald",
        ),
        JournalSeen { kept: Ok(false), .. } => Verdict::note(
            CHECK,
            "/var/log/journal: is missing, so the journal is lost at each boot, with the reasons of earlier failures",
            "mkdir -p /var/log/journal && journalctl --flush",
        )
        .on_nixos("set services.journald.storage = \"persistent\""),
        JournalSeen { .. } => Verdict::ok(CHECK, "the journal is kept across boots"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::doctor::verdict::Level;
    use crate::fact::doctor::seen::Unseen;

    fn unseen() -> Unseen {
        Unseen { why: "x".into(), needs_root: false }
    }

    #[test]
    fn owners_are_mapped() {
        let one = |source: &str, kind: &str, possible| Mapped {
            source: source.into(),
            kind: kind.into(),
            possible,
            below: None,
            names: vec!["web".parse().unwrap()],
        };
        let below = Mapped { below: Some("/srv/x".into()), ..one("/srv", "ext4", true) };
        for (all, level, text) in [
            (Vec::new(), Level::Ok, "no container"),
            (vec![one("/srv", "ext4", true), one("/nix/store", "xfs", true)], Level::Ok, "on ext4 and xfs"),
            (vec![one("/srv", "nfs4", false)], Level::Warning, "type nfs4"),
            (vec![one("/nix/store", "9p", false)], Level::Warning, "type 9p"),
            (vec![below], Level::Failure, "/srv/x is mounted below it"),
        ] {
            let verdict = &mapped(&Ok(all))[0];
            assert!(verdict.level == level && verdict.text.contains(text), "{}", verdict.text);
        }
        assert_eq!(mapped(&Err(unseen()))[0].level, Level::Warning);
    }

    #[test]
    fn control_groups_of_version_2() {
        let with = |kind: &str, controllers: &[&str]| {
            Ok(ControlGroups {
                kind: kind.into(),
                controllers: controllers.iter().map(|one| (*one).to_owned()).collect(),
                needed: vec![("memory", "web".parse().unwrap())],
            })
        };
        for (seen, level) in [
            (with("cgroup2", &["memory", "pids"]), Level::Ok),
            (with("cgroup2", &["pids"]), Level::Warning),
            (with("tmpfs", &[]), Level::Failure),
            (Err(unseen()), Level::Warning),
        ] {
            assert_eq!(control_groups(&seen)[0].level, level, "{seen:?}");
        }
    }

    #[test]
    fn the_journal_is_kept() {
        for (runs, kept, level) in [
            (Ok(true), Ok(true), Level::Ok),
            (Ok(true), Ok(false), Level::Note),
            (Ok(true), Err(unseen()), Level::Warning),
            (Ok(false), Ok(true), Level::Failure),
            (Err(unseen()), Ok(true), Level::Warning),
        ] {
            assert_eq!(journal(&JournalSeen { runs, kept }).level, level);
        }
    }
}
