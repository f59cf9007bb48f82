//! Judges records of killed commands, garbage collector roots, and what was left behind.

use nixos_nspawn_units::store::DIRECTORY;

use crate::decision::doctor::fix::Fix;
use crate::decision::doctor::verdict::{Check, Verdict};
use crate::decision::doctor::words::{are, counted, listed, quoted};
use crate::fact::doctor::records::{LitterSeen, RootsSeen};
use crate::fact::doctor::seen::Seen;
use crate::fact::overview::{Container, Unfinished};
use crate::host::record::Begun;

/// Judges the records of commands in progress.
pub(crate) fn records(seen: &Seen<Vec<&Container>>) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("records");
    let all = match seen {
        Ok(all) => all,
        Err(unseen) => return vec![Verdict::unseen(CHECK, unseen)],
    };
    let verdict = |one: &&Container| {
        let name = &one.name;
        let Unfinished { step, process } = one.unfinished?;
        let (doing, half) = match step {
            Begun::Creating => ("created", "half created"),
            Begun::Updating => ("updated", "half updated"),
            Begun::Removing => ("removed", "half removed"),
            Begun::Renaming => ("renamed", "half renamed"),
        };
        Some(match process {
            Some(process) => {
                Verdict::note(CHECK, format!("container '{name}' is being {doing} by process {process}"), "")
            }
            None => {
                let text = format!("container '{name}' was left {half} by a killed command");
                Verdict::failure(CHECK, text, "nixos-nspawn doctor --fix")
            }
        })
    };
    let verdicts: Vec<Verdict> = all.iter().filter_map(verdict).collect();
    match verdicts.is_empty() {
        true => vec![Verdict::ok(CHECK, "no command was killed halfway")],
        false => verdicts,
    }
}

/// Judges the garbage collector roots of recorded systems.
pub(crate) fn roots(seen: &Seen<RootsSeen>) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("roots");
    let seen = match seen {
        Ok(seen) => seen,
        Err(unseen) => return vec![Verdict::unseen(CHECK, unseen)],
    };
    let gone = seen.gone.iter().map(|(name, toplevel)| {
        let text = format!("{toplevel}: is gone from the store, so container '{name}' cannot start");
        Verdict::failure(CHECK, text, format!("nixos-nspawn update {name}, or rollback"))
    });
    let missing = seen.missing.iter().map(|name| {
        let text =
            format!("container '{name}' has no root for its system, which a garbage collection may delete");
        Verdict::warning(CHECK, text, "nixos-nspawn doctor --fix").fixed_by(Fix::Root(name.clone()))
    });
    let mut verdicts: Vec<Verdict> = gone.chain(missing).collect();
    if !seen.unused.is_empty() {
        let count = seen.unused.len();
        let text = format!(
            "{} of containers that are not recorded {} disk space: {}",
            counted(count, "root"),
            if count == 1 { "takes" } else { "take" },
            listed(&seen.unused)
        );
        verdicts.push(Verdict::note(CHECK, text, next_for_unused(seen)));
    }
    if verdicts.is_empty() {
        let text = match seen.recorded {
            0 => "no system needs a root".to_owned(),
            count => {
                format!("{} {} kept from garbage collection", counted(count, "recorded system"), are(count))
            }
        };
        verdicts.push(Verdict::ok(CHECK, text));
    }
    verdicts
}

/// Returns the command that removes unused roots. Where containers may be missing, their roots look unused.
fn next_for_unused(seen: &RootsSeen) -> String {
    /// How many are named.
    const NAMED: usize = 5;
    if !seen.all_known {
        return format!(
            "see that {DIRECTORY} is mounted and can be read: otherwise, roots of containers look unused"
        );
    }
    let shown: Vec<String> = seen.unused.iter().take(NAMED).map(|path| quoted(path)).collect();
    let command = format!("rm {}", shown.join(" "));
    match seen.unused.len() - shown.len() {
        0 => command,
        more => format!("{command}, and {more} more"),
    }
}

/// Judges the pins.
pub(crate) fn pins(seen: &Seen<RootsSeen>) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("pins");
    // The check of the roots says what is wrong.
    let Ok(seen) = seen else { return Vec::new() };
    let strange = seen.strange.iter().map(|path| {
        let text = format!("{path}: pins nothing, since it does not link to a path in the store");
        Verdict::warning(CHECK, text, format!("rm {}", quoted(path)))
    });
    let dangling = seen.dangling.iter().map(|(name, number)| {
        let text = format!("generation {number} of container '{name}' is pinned, but gone from the store");
        Verdict::warning(CHECK, text, format!("nixos-nspawn unpin {name} {number}"))
    });
    let verdicts: Vec<Verdict> = dangling.chain(strange).collect();
    if verdicts.is_empty() {
        let text = match seen.pins {
            0 => "no generation is pinned".to_owned(),
            count => format!("{} {} in the store", counted(count, "pinned generation"), are(count)),
        };
        return vec![Verdict::ok(CHECK, text)];
    }
    verdicts
}

/// Judges what was left behind.
pub(crate) fn litter(seen: &LitterSeen) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("litter");
    let mut verdicts = Vec::new();
    if !seen.ours.is_empty() {
        let count = seen.ours.len();
        let text = format!("{} {} left behind: {}", counted(count, "file"), are(count), listed(&seen.ours));
        verdicts.push(Verdict::note(CHECK, text, "nixos-nspawn doctor --fix").fixed_by(Fix::Litter));
    }
    for path in &seen.doomed {
        let text = format!("{path}: is half deleted; the next boot deletes the rest");
        verdicts.push(Verdict::note(CHECK, text, ""));
    }
    verdicts.extend(seen.unseen.iter().map(|unseen| Verdict::unseen(CHECK, unseen)));
    if verdicts.is_empty() {
        verdicts.push(Verdict::ok(CHECK, "nothing was left behind"));
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use nixos_nspawn_units::name::MachineName;
    use nixos_nspawn_units::store::Kind;

    use super::*;
    use crate::decision::doctor::verdict::Level;
    use crate::fact::doctor::seen::Unseen;

    fn web() -> MachineName {
        "web".parse().unwrap()
    }

    fn unseen() -> Unseen {
        Unseen { why: "x".into(), needs_root: true }
    }

    #[test]
    fn killed_commands() {
        let mut web = Container::new(web(), Kind::Imperative);
        assert_eq!(records(&Ok(Vec::new()))[0].level, Level::Ok);
        web.unfinished = Some(Unfinished { step: Begun::Updating, process: None });
        let verdict = &records(&Ok(vec![&web]))[0];
        assert_eq!(verdict.level, Level::Failure);
        assert_eq!(verdict.text, "container 'web' was left half updated by a killed command");
        web.unfinished = Some(Unfinished { step: Begun::Creating, process: Some(7) });
        assert_eq!(records(&Ok(vec![&web]))[0].text, "container 'web' is being created by process 7");
        assert_eq!(records(&Err(unseen()))[0].level, Level::Note);
    }

    #[test]
    fn roots_of_systems() {
        let good = || RootsSeen { all_known: true, recorded: 1, pins: 1, ..RootsSeen::default() };
        let toplevel = crate::testing::store_path("one").parse().unwrap();
        for (seen, level, fix) in [
            (Ok(good()), Level::Ok, None),
            (Ok(RootsSeen { missing: vec![web()], ..good() }), Level::Warning, Some(Fix::Root(web()))),
            (Ok(RootsSeen { gone: vec![(web(), toplevel)], ..good() }), Level::Failure, None),
            (Ok(RootsSeen { unused: vec!["/x".into()], ..good() }), Level::Note, None),
            (Err(unseen()), Level::Note, None),
        ] {
            let verdict = &roots(&seen)[0];
            assert_eq!((verdict.level, &verdict.fix), (level, &fix), "{}", verdict.text);
        }
        let unused = |count, all_known| {
            let unused = (0..count).map(|number| format!("/r/{number}")).collect();
            let seen = RootsSeen { unused, all_known, ..good() };
            roots(&Ok(seen))[0].next.clone().unwrap()
        };
        assert_eq!(unused(1, true), "rm /r/0");
        assert_eq!(unused(7, true), "rm /r/0 /r/1 /r/2 /r/3 /r/4, and 2 more");
        assert_eq!(
            unused(7, false),
            "see that /etc/nixos-nspawn is mounted and can be read: otherwise, roots of containers look unused"
        );
        assert_eq!(pins(&Ok(good()))[0].level, Level::Ok);
        let verdict = &pins(&Ok(RootsSeen { dangling: vec![(web(), 3)], ..good() }))[0];
        assert_eq!(verdict.next.as_deref(), Some("nixos-nspawn unpin web 3"));
        let verdict = &pins(&Ok(RootsSeen { strange: vec!["/r/web-pin-1".into()], ..good() }))[0];
        assert_eq!((verdict.level, verdict.next.as_deref()), (Level::Warning, Some("rm /r/web-pin-1")));
        assert!(pins(&Err(unseen())).is_empty());
    }

    #[test]
    fn what_was_left() {
        assert_eq!(litter(&LitterSeen::default())[0].level, Level::Ok);
        let seen =
            LitterSeen { ours: vec!["/a".into(), "/b".into()], doomed: vec!["/c".into()], unseen: None };
        let verdicts = litter(&seen);
        assert_eq!(verdicts[0].text, "2 files are left behind: /a and /b");
        assert_eq!((verdicts[0].fix.clone(), verdicts[1].fix.clone()), (Some(Fix::Litter), None));
        let seen = LitterSeen { unseen: Some(unseen()), ..LitterSeen::default() };
        assert_eq!(litter(&seen)[0].level, Level::Note);
    }
}
