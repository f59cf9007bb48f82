//! What `apply` does with each container of a host, from the flake that it is given and what is recorded.

use std::collections::{BTreeMap, BTreeSet};

use nixos_nspawn_units::name::MachineName;

/// A container that is recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// `apply` created it from the flake with this reference.
    Applied(String),
    /// The administrator created it, or has updated it from another source.
    ByHand,
    /// It belongs to the host's NixOS configuration.
    Declarative,
    /// Its intent is refused.
    Broken(String),
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
    /// The flake no longer has it for this host.
    Gone,
}

/// Decides for each container that `flake` has for this host, and for each that was applied from it.
pub(crate) fn parts(
    flake: &str,
    wanted: &BTreeSet<MachineName>,
    recorded: &BTreeMap<MachineName, Recorded>,
) -> BTreeMap<MachineName, Part> {
    let of_wanted = wanted.iter().map(|name| {
        let part = match recorded.get(name) {
            None => Part::Create,
            Some(Recorded::Applied(from)) if from == flake => Part::Update,
            Some(Recorded::Applied(from)) => Part::Leave(format!("was applied from {from}")),
            Some(Recorded::ByHand) => Part::Leave("was not created by 'apply'".to_owned()),
            Some(Recorded::Declarative) => {
                Part::Leave("belongs to the host's NixOS configuration".to_owned())
            }
            Some(Recorded::Broken(why)) => Part::Leave(why.clone()),
        };
        (name.clone(), part)
    });
    let gone = recorded.iter().filter(|(name, one)| {
        !wanted.contains(*name) && matches!(one, Recorded::Applied(from) if from == flake)
    });
    of_wanted.chain(gone.map(|(name, _)| (name.clone(), Part::Gone))).collect()
}

/// Returns whether a container is for a host with these names and tags.
pub(crate) fn is_for(hosts: Option<&[String]>, host: &[&str]) -> bool {
    hosts.is_none_or(|hosts| hosts.iter().any(|one| host.contains(&one.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLAKE: &str = "github:me/infra";

    fn one(wanted: bool, recorded: Option<Recorded>) -> Option<Part> {
        let web: MachineName = "web".parse().unwrap();
        let wanted: BTreeSet<MachineName> = wanted.then(|| web.clone()).into_iter().collect();
        let recorded = recorded.map(|one| (web.clone(), one)).into_iter().collect();
        parts(FLAKE, &wanted, &recorded).remove(&web)
    }

    #[test]
    fn each_case() {
        let ours = || Some(Recorded::Applied(FLAKE.to_owned()));
        let other = || Some(Recorded::Applied("github:me/old".to_owned()));
        let leave = |why: &str| Some(Part::Leave(why.to_owned()));
        assert_eq!(one(true, None), Some(Part::Create));
        assert_eq!(one(true, ours()), Some(Part::Update));
        assert_eq!(one(true, other()), leave("was applied from github:me/old"));
        assert_eq!(one(true, Some(Recorded::ByHand)), leave("was not created by 'apply'"));
        assert_eq!(
            one(true, Some(Recorded::Declarative)),
            leave("belongs to the host's NixOS configuration")
        );
        assert_eq!(one(true, Some(Recorded::Broken("x".to_owned()))), leave("x"));
        assert_eq!(one(false, None), None);
        assert_eq!(one(false, ours()), Some(Part::Gone));
        for kept in [other(), Some(Recorded::ByHand), Some(Recorded::Declarative)] {
            assert_eq!(one(false, kept), None);
        }
    }

    #[test]
    fn hosts_by_name_and_tag() {
        let named = |hosts: &[&str]| hosts.iter().map(|one| (*one).to_owned()).collect::<Vec<String>>();
        assert!(is_for(None, &["alpha"]));
        assert!(is_for(Some(&named(&["beta", "alpha"])), &["alpha", "edge"]));
        assert!(is_for(Some(&named(&["edge"])), &["alpha", "edge"]));
        assert!(!is_for(Some(&named(&["beta"])), &["alpha", "edge"]));
        assert!(!is_for(Some(&named(&[])), &["alpha"]));
    }
}
