//! Judges recorded sources.

use crate::decision::doctor::verdict::{Check, Verdict};
use crate::decision::doctor::words::{counted, quoted};
use crate::fact::doctor::seen::Unseen;
use crate::fact::doctor::sources::{SourceFault, SourcesSeen};

/// Judges the sources of all containers.
pub(crate) fn sources(seen: &SourcesSeen) -> Vec<Verdict> {
    const CHECK: Check = Check::of_containers("sources");
    if seen.faults.is_empty() {
        let text = match seen.local {
            0 => "no container is built from a path of this host".to_owned(),
            count => format!("{} on this host can be read", counted(count, "source")),
        };
        return vec![Verdict::ok(CHECK, text)];
    }
    let verdict = |(name, fault): &(_, SourceFault)| match fault {
        SourceFault::Missing(path) => {
            let text = format!("{path}: is missing, so container '{name}' cannot be updated");
            Verdict::warning(CHECK, text, format!("restore it, or nixos-nspawn update {name} --flake REF"))
        }
        SourceFault::Owner(why, reference) => {
            let text = format!("{why}, so container '{name}' is not updated unattended");
            Verdict::warning(CHECK, text, format!("nixos-nspawn update {name} --flake {}", quoted(reference)))
        }
        SourceFault::Unseen(Unseen { why, needs_root }) => {
            let why = format!("{why}, the source of container '{name}'");
            Verdict::unseen(CHECK, &Unseen { why, needs_root: *needs_root })
        }
    };
    seen.faults.iter().map(verdict).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::doctor::verdict::Level;

    #[test]
    fn sources_can_be_read() {
        let seen = |local, fault: Option<SourceFault>| SourcesSeen {
            local,
            faults: fault.map(|fault| ("web".parse().unwrap(), fault)).into_iter().collect(),
        };
        let unseen = |needs_root| SourceFault::Unseen(Unseen { why: "x".into(), needs_root });
        for (seen, level, next) in [
            (seen(0, None), Level::Ok, None),
            (seen(2, None), Level::Ok, None),
            (
                seen(1, Some(SourceFault::Missing("/srv/x".into()))),
                Level::Warning,
                Some("restore it, or nixos-nspawn update web --flake REF"),
            ),
            (
                seen(1, Some(SourceFault::Owner("/srv/x: belongs to user 1".into(), "/srv/x#web".into()))),
                Level::Warning,
                Some("nixos-nspawn update web --flake '/srv/x#web'"),
            ),
            (seen(1, Some(unseen(true))), Level::Note, Some("sudo nixos-nspawn doctor")),
            (seen(1, Some(unseen(false))), Level::Warning, None),
        ] {
            let verdict = &sources(&seen)[0];
            assert_eq!((verdict.level, verdict.next.as_deref()), (level, next), "{}", verdict.text);
        }
    }
}
