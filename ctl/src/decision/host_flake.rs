//! What `apply` does with each container of a host, from the flake that it is given and what is recorded.

use std::collections::{BTreeMap, BTreeSet};

use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::name::MachineName;

use crate::base::secrets::without_password;

/// A container that is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// `apply` created it.
    Applied(From),
    /// The administrator created it, or has updated it from another source.
    ByHand,
    /// It belongs to the host's NixOS configuration.
    Declarative,
    /// Its intent is refused.
    Broken(String),
}

/// What a container was applied from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct From {
    /// The reference of the flake, without the attribute.
    pub(crate) flake: String,
    /// The Nix system that it was built for.
    pub(crate) system: String,
    /// Since when and why it is held.
    pub(crate) held: Option<String>,
}

/// What a flake has for this host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// The reference of the flake.
    pub(crate) flake: String,
    /// The Nix system that its containers were read for.
    pub(crate) system: String,
    /// The containers for this host.
    pub(crate) names: BTreeSet<MachineName>,
    /// Containers of which it is not known whether they are for this host.
    pub(crate) unknown: BTreeSet<MachineName>,
}

/// What happens to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// The flake has it, and this host does not.
    Create,
    /// It is updated.
    Update,
    /// It is left alone, for this reason.
    Leave(String),
    /// It cannot be what the flake says, for this reason.
    Conflict(String),
    /// The flake no longer has it for this host.
    Gone,
}

/// Decides for each container that the flake has for this host, and for each that was applied from it.
pub(crate) fn parts(
    wanted: &Wanted,
    recorded: &BTreeMap<MachineName, Recorded>,
) -> BTreeMap<MachineName, Part> {
    let of_wanted = wanted.names.iter().map(|name| {
        let part = match recorded.get(name) {
            None => Part::Create,
            Some(Recorded::Applied(from)) if from.flake == wanted.flake => Part::Update,
            Some(Recorded::Applied(from)) => {
                let other = without_password(&from.flake);
                Part::Conflict(format!(
                    "container '{name}' was applied from {other}, and is left alone; remove it, or rename one of the two"
                ))
            }
            Some(Recorded::ByHand) => Part::Leave("was not created by 'apply'".to_owned()),
            Some(Recorded::Declarative) => {
                Part::Leave("belongs to the host's NixOS configuration".to_owned())
            }
            Some(Recorded::Broken(why)) => Part::Conflict(why.clone()),
        };
        (name.clone(), part)
    });
    let gone = recorded.iter().filter_map(|(name, one)| {
        let Recorded::Applied(from) = one else { return None };
        // What was read for one system says nothing about the containers of another.
        let ours = from.flake == wanted.flake && from.system == wanted.system;
        let there = wanted.names.contains(name) || wanted.unknown.contains(name);
        let part = match &from.held {
            Some(held) => Part::Leave(format!("is gone from the flake, but {held}")),
            None => Part::Gone,
        };
        (ours && !there).then(|| (name.clone(), part))
    });
    of_wanted.chain(gone).collect()
}

/// Returns the flake that a container was applied from. The attribute is the container's name: another one was copied by hand.
pub(crate) fn applied_from<'a>(name: &MachineName, source: Option<&'a Source>) -> Option<&'a str> {
    let flake = source.filter(|source| source.applied)?.flake.as_ref()?;
    let (reference, attribute) = flake.as_str().split_once('#')?;
    (attribute == name.as_str()).then_some(reference)
}

/// Returns whether a container is for a host with these names and tags.
pub(crate) fn is_for(hosts: &[String], host: &[String]) -> bool {
    hosts.iter().any(|one| host.contains(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAKE: &str = "github:me/infra";

    fn from(flake: &str, system: &str, held: bool) -> Option<Recorded> {
        let held = held.then(|| "held since today".to_owned());
        Some(Recorded::Applied(From { flake: flake.to_owned(), system: system.to_owned(), held }))
    }

    fn of(wanted: Option<bool>, recorded: Option<Recorded>) -> Option<Part> {
        let web: MachineName = "web".parse().unwrap();
        let set = |is: bool| is.then(|| web.clone()).into_iter().collect();
        let wanted = Wanted {
            flake: FLAKE.to_owned(),
            system: "x86_64-linux".to_owned(),
            names: set(wanted == Some(true)),
            unknown: set(wanted == Some(false)),
        };
        let recorded = recorded.map(|one| (web.clone(), one)).into_iter().collect();
        parts(&wanted, &recorded).remove(&web)
    }

    #[test]
    fn each_case() {
        let ours = || from(FLAKE, "x86_64-linux", false);
        let leave = |why: &str| Some(Part::Leave(why.to_owned()));
        assert_eq!(of(Some(true), None), Some(Part::Create));
        assert_eq!(of(Some(true), ours()), Some(Part::Update));
        // A held one is skipped by the update itself.
        assert_eq!(of(Some(true), from(FLAKE, "x86_64-linux", true)), Some(Part::Update));
        let other = of(Some(true), from("git+https://me:pw@h/old", "x86_64-linux", false));
        let Some(Part::Conflict(why)) = other else { panic!("{other:?}") };
        assert!(why.contains("applied from git+https://***@h/old") && !why.contains("pw"), "{why}");
        assert_eq!(of(Some(true), Some(Recorded::ByHand)), leave("was not created by 'apply'"));
        assert_eq!(
            of(Some(true), Some(Recorded::Declarative)),
            leave("belongs to the host's NixOS configuration")
        );
        assert_eq!(
            of(Some(true), Some(Recorded::Broken("x".to_owned()))),
            Some(Part::Conflict("x".to_owned()))
        );
        assert_eq!(of(None, None), None);
        assert_eq!(of(None, ours()), Some(Part::Gone));
        let held = of(None, from(FLAKE, "x86_64-linux", true));
        assert_eq!(held, leave("is gone from the flake, but held since today"));
        // It may be for this host.
        assert_eq!(of(Some(false), ours()), None);
        for kept in [
            from("github:me/old", "x86_64-linux", false),
            from(FLAKE, "aarch64-linux", false),
            Some(Recorded::ByHand),
            Some(Recorded::Declarative),
            Some(Recorded::Broken("x".to_owned())),
        ] {
            assert_eq!(of(None, kept), None);
        }
    }

    #[test]
    fn what_apply_records_is_its_own() {
        let web: MachineName = "web".parse().unwrap();
        let source = |flake: &str, applied| Source {
            flake: Some(flake.parse().unwrap()),
            applied,
            ..Source::default()
        };
        assert_eq!(applied_from(&web, Some(&source("/srv/x#web", true))), Some("/srv/x"));
        for other in [source("/srv/x#web", false), source("/srv/x#old", true), source("/srv/x", true)] {
            assert_eq!(applied_from(&web, Some(&other)), None, "{other:?}");
        }
        assert_eq!(applied_from(&web, None), None);
    }

    #[test]
    fn hosts_by_name_and_tag() {
        let named = |hosts: &[&str]| hosts.iter().map(|one| (*one).to_owned()).collect::<Vec<String>>();
        let host = named(&["alpha", "edge"]);
        assert!(is_for(&named(&["beta", "alpha"]), &host) && is_for(&named(&["edge"]), &host));
        assert!(!is_for(&named(&["beta"]), &host) && !is_for(&named(&[]), &host));
    }
}
