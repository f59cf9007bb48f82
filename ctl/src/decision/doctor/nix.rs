//! Judges Nix, its store and its daemon.

use crate::decision::doctor::verdict::{Check, Verdict};
use crate::decision::doctor::words::containers;
use crate::fact::doctor::nix::{DaemonSeen, NixSeen};

/// The oldest Nix with flakes and the commands that this program calls.
const OLDEST: (u32, u32) = (2, 4);

/// Judges the program.
pub(crate) fn program(seen: &NixSeen) -> Verdict {
    const CHECK: Check = Check::of_host("nix");
    match &seen.says {
        Err((why, next)) => {
            let text = format!("{why}, so nothing can be built; containers that exist are not affected");
            Verdict::warning(CHECK, text, next)
        }
        Ok(says) if version(says).is_some_and(|version| version < OLDEST) => {
            let text = format!("{says} has no flakes, so nothing can be built");
            Verdict::warning(CHECK, text, "update Nix").on_nixos("set nix.package to a newer Nix")
        }
        // The program turns them on for its own calls.
        Ok(says) => Verdict::ok(CHECK, format!("{says}, with flakes for this program's calls")),
    }
}

/// Returns the first two numbers of `nix (Nix) 2.26.3`.
fn version(says: &str) -> Option<(u32, u32)> {
    let word = says.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
    let mut numbers = word.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Judges the owner of the store.
pub(crate) fn store(seen: &NixSeen) -> Verdict {
    const CHECK: Check = Check::of_host("store");
    match &seen.owner {
        Ok(Some(0)) => Verdict::ok(CHECK, "/nix/store belongs to root"),
        Ok(Some(owner)) => {
            let text = format!(
                "/nix/store: belongs to user {owner}, who can change what runs as root in containers"
            );
            Verdict::warning(CHECK, text, "install Nix with a daemon (multi-user)")
        }
        Ok(None) => Verdict::failure(CHECK, "/nix/store: is missing, so no container starts", "install Nix"),
        Err(unseen) => Verdict::unseen(CHECK, unseen),
    }
}

/// Judges the daemon.
pub(crate) fn daemon(seen: &NixSeen) -> Verdict {
    const CHECK: Check = Check::of_containers("nix-daemon");
    const START: &str = "systemctl enable --now nix-daemon.socket";
    const ON_NIXOS: &str = "set nix.enable = true, or systemctl restart nix-daemon.socket";
    match &seen.daemon {
        DaemonSeen::Accepts => Verdict::ok(CHECK, "the daemon accepts connections"),
        DaemonSeen::Unseen(unseen) => Verdict::unseen(CHECK, unseen),
        DaemonSeen::Missing if seen.use_daemon.is_empty() => {
            Verdict::ok(CHECK, "there is no daemon; root builds without it, and no container uses it")
        }
        DaemonSeen::Missing => {
            let text =
                format!("there is no daemon, so Nix does not work inside {}", containers(&seen.use_daemon));
            Verdict::failure(CHECK, text, START).on_nixos(ON_NIXOS)
        }
        DaemonSeen::Refuses(why) if seen.use_daemon.is_empty() => {
            Verdict::warning(CHECK, why, START).on_nixos(ON_NIXOS)
        }
        DaemonSeen::Refuses(why) => {
            let text = format!("{why}, so Nix does not work inside {}", containers(&seen.use_daemon));
            Verdict::failure(CHECK, text, START).on_nixos(ON_NIXOS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::doctor::verdict::Level;
    use crate::fact::doctor::seen::Unseen;

    fn seen() -> NixSeen {
        NixSeen {
            says: Ok("nix (Nix) 2.26.3".into()),
            owner: Ok(Some(0)),
            daemon: DaemonSeen::Accepts,
            use_daemon: Vec::new(),
        }
    }

    #[test]
    fn nix_and_its_store() {
        for (says, level) in [
            (Ok("nix (Nix) 2.26.3".to_owned()), Level::Ok),
            (Ok("nix (Lix, like Nix) 2.93.0".to_owned()), Level::Ok),
            (Ok("nix (Nix) 2.3.16".to_owned()), Level::Warning),
            (Ok("something".to_owned()), Level::Ok),
            (Err(("nix: not found".to_owned(), "install Nix".to_owned())), Level::Warning),
        ] {
            assert_eq!(program(&NixSeen { says: says.clone(), ..seen() }).level, level, "{says:?}");
        }
        for (owner, level) in [
            (Ok(Some(0)), Level::Ok),
            (Ok(Some(1000)), Level::Warning),
            (Ok(None), Level::Failure),
            (Err(Unseen { why: "x".into(), needs_root: false }), Level::Warning),
        ] {
            assert_eq!(store(&NixSeen { owner: owner.clone(), ..seen() }).level, level, "{owner:?}");
        }
    }

    #[test]
    fn the_daemon_and_who_uses_it() {
        let refuses = || DaemonSeen::Refuses("x".into());
        for (state, used, level) in [
            (DaemonSeen::Accepts, true, Level::Ok),
            (DaemonSeen::Missing, false, Level::Ok),
            (DaemonSeen::Missing, true, Level::Failure),
            (DaemonSeen::Unseen(Unseen { why: "x".into(), needs_root: true }), true, Level::Note),
            (refuses(), false, Level::Warning),
            (refuses(), true, Level::Failure),
        ] {
            let use_daemon = if used { vec!["web".parse().unwrap()] } else { Vec::new() };
            let verdict = daemon(&NixSeen { daemon: state.clone(), use_daemon, ..seen() });
            assert_eq!(verdict.level, level, "{state:?}");
        }
    }
}
