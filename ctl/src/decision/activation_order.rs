//! The order in which containers are updated: each after its dependencies.

use std::collections::{BTreeMap, BTreeSet};

use nixos_nspawn_units::intent::{Dependency, Intent};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::ordering::{sorted, waits_for};
use nixos_nspawn_units::store::Loaded;

/// Sorts the names by `after` and `requires`; otherwise keeps their order. Those of a cycle do not wait for one another, as at
/// boot.
pub(crate) fn activation_order(loaded: &Loaded, names: Vec<MachineName>) -> Vec<MachineName> {
    let intents = Intents::of(loaded);
    let at = positions(&names);
    let before = |name: &MachineName| {
        let others = intents.of_name(name.as_str()).into_iter().flat_map(waits_for);
        others.filter_map(|other| at.get(other.container()?).copied()).collect()
    };
    let before: Vec<Vec<usize>> = names.iter().map(before).collect();
    sorted(&before).into_iter().map(|at| names[at].clone()).collect()
}

/// Returns for each name those before it that must not be updated at the same time: a start of one of the two would wait for
/// the other, or start it, also through others.
pub(crate) fn not_beside(loaded: &Loaded, names: &[MachineName]) -> Vec<BTreeSet<usize>> {
    let intents = Intents::of(loaded);
    let positions = positions(names);
    let mut earlier = vec![BTreeSet::new(); names.len()];
    for (at, name) in names.iter().enumerate() {
        let others = intents.started_with(name.as_str()).into_iter();
        for other in others.filter_map(|other| positions.get(other).copied()).filter(|other| *other != at) {
            earlier[at.max(other)].insert(at.min(other));
        }
    }
    earlier
}

fn positions(names: &[MachineName]) -> BTreeMap<&str, usize> {
    names.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect()
}

/// The intents by name.
struct Intents<'a>(BTreeMap<&'a str, &'a Intent>);

impl<'a> Intents<'a> {
    fn of(loaded: &'a Loaded) -> Self {
        Self(loaded.intents.iter().map(|stored| (stored.name.as_str(), &*stored.intent)).collect())
    }

    fn of_name(&self, name: &str) -> Option<&'a Intent> {
        self.0.get(name).copied()
    }

    /// Returns the containers that the start of one waits for or starts, also through others.
    fn started_with(&self, name: &str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut next: Vec<&Intent> = self.of_name(name).into_iter().collect();
        while let Some(intent) = next.pop() {
            let all = waits_for(intent).chain(&intent.container.wants);
            for other in all.filter_map(Dependency::container) {
                if found.insert(other) {
                    next.extend(self.of_name(other));
                }
            }
        }
        found
    }
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
        let names: Vec<MachineName> =
            ["a", "b", "w", "x", "db", "u", "c"].map(|name| name.parse().unwrap()).to_vec();
        let beside: Vec<String> = not_beside(&loaded, &names)
            .into_iter()
            .map(|earlier| earlier.into_iter().map(|at| names[at].as_str()).collect::<Vec<_>>().join(" "))
            .collect();
        // Also through others, and whoever wants it; not those that come later.
        assert_eq!(beside, ["", "a", "a b", "", "a b w", "x", ""]);
        let names = ["u", "y", "x"].map(|name| name.parse().unwrap()).to_vec();
        let order = activation_order(&loaded, names);
        assert_eq!(order.iter().map(MachineName::as_str).collect::<Vec<_>>(), ["y", "x", "u"]);
    }
}
