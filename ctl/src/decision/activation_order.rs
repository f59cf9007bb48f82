//! The order in which containers are updated: each after its dependencies.

use std::collections::BTreeSet;

use nixos_nspawn_units::intent::Dependency;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::ordering::waits_for;
use nixos_nspawn_units::store::Loaded;

/// Sorts the names by `after` and `requires`; otherwise keeps their order. Within a cycle, the first name comes
/// first.
pub(crate) fn activation_order(loaded: &Loaded, names: Vec<MachineName>) -> Vec<MachineName> {
    let mut left = names;
    let mut sorted = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let free = |name: &MachineName| before(loaded, name, &left).is_empty();
        let found: Vec<MachineName> = left.iter().filter(|name| free(name)).cloned().collect();
        if found.is_empty() {
            // What only waits for a cycle is not a part of it.
            let first = left.iter().position(|name| reached(loaded, name, &left).contains(name)).unwrap_or(0);
            sorted.push(left.remove(first));
        }
        left.retain(|name| !found.contains(name));
        sorted.extend(found);
    }
    sorted
}

/// Returns those among `left` that a container waits for itself.
pub(crate) fn before<'a>(
    loaded: &Loaded,
    name: &MachineName,
    left: &'a [MachineName],
) -> Vec<&'a MachineName> {
    let intent = loaded.intents.iter().find(|stored| stored.name == *name);
    let before = intent.into_iter().flat_map(|stored| waits_for(&stored.intent));
    let before: BTreeSet<&str> = before.filter_map(Dependency::container).collect();
    left.iter().filter(|other| *other != name && before.contains(other.as_str())).collect()
}

/// Returns those among `earlier` that must not be updated at the same time as a container: a start of one of the two would
/// wait for the other, or start it, also through others.
pub(crate) fn not_beside(loaded: &Loaded, name: &MachineName, earlier: &[MachineName]) -> Vec<MachineName> {
    let of_it = started_with(loaded, name);
    let linked = |other: &&MachineName| {
        of_it.contains(other.as_str()) || started_with(loaded, other).contains(name.as_str())
    };
    earlier.iter().filter(linked).cloned().collect()
}

/// Returns the containers that the start of one waits for or starts, also through others.
fn started_with<'a>(loaded: &'a Loaded, name: &'a MachineName) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut next = vec![name.as_str()];
    while let Some(one) = next.pop() {
        for stored in loaded.intents.iter().filter(|stored| stored.name.as_str() == one) {
            let all = waits_for(&stored.intent).chain(&stored.intent.container.wants);
            next.extend(all.filter_map(Dependency::container).filter(|other| found.insert(*other)));
        }
    }
    found
}

/// Returns those among `left` that a container waits for, also through others.
fn reached<'a>(loaded: &Loaded, name: &MachineName, left: &'a [MachineName]) -> BTreeSet<&'a MachineName> {
    let mut reached = BTreeSet::new();
    let mut next = before(loaded, name, left);
    while let Some(one) = next.pop() {
        if reached.insert(one) {
            next.extend(before(loaded, one, left));
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use nixos_nspawn_units::intent::parse;
    use nixos_nspawn_units::store::{Kind, Stored};

    use super::*;

    #[test]
    fn after_those_that_it_waits_for() {
        let mut loaded = Loaded::default();
        for (name, options) in [
            ("a", r#""requires":["db"]"#),
            ("b", r#""after":["a","elsewhere"]"#),
            ("db", ""),
            ("x", r#""after":["y"]"#),
            ("y", r#""after":["x"]"#),
            ("u", r#""after":["x"]"#),
            ("w", r#""wants":["b"]"#),
        ] {
            let name: MachineName = name.parse().unwrap();
            let toplevel = format!("/nix/store/{}-a", "a".repeat(32));
            let text = format!(r#"{{"version":1,"toplevel":"{toplevel}","container":{{{options}}}}}"#);
            let intent = parse(text.as_bytes(), &name).unwrap();
            loaded.intents.push(Stored {
                name,
                kind: Kind::Imperative,
                path: String::new(),
                intent: Box::new(intent),
            });
        }
        let names = ["a", "b", "db", "x", "y"].map(|name| name.parse().unwrap()).to_vec();
        let order = activation_order(&loaded, names);
        assert_eq!(order.iter().map(MachineName::as_str).collect::<Vec<_>>(), ["db", "a", "b", "x", "y"]);
        let beside = |name: &str| {
            let earlier = ["a", "b", "w", "x", "db"].map(|name| name.parse().unwrap());
            let found = not_beside(&loaded, &name.parse().unwrap(), &earlier);
            found.iter().map(MachineName::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(beside("db"), "a b w", "also through others, and whoever wants it");
        assert_eq!((beside("u").as_str(), beside("x").as_str(), beside("c").as_str()), ("x", "x", ""));
        let names = ["u", "y", "x"].map(|name| name.parse().unwrap()).to_vec();
        let order = activation_order(&loaded, names);
        assert_eq!(order.iter().map(MachineName::as_str).collect::<Vec<_>>(), ["y", "x", "u"]);
    }
}
