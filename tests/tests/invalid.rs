//! Effects of bad input on other containers, for all golden cases: without the refused files, all others get the same
//! units; and a valid container added to a case gets the same units as alone, unless the directory itself is untrusted.

use std::collections::BTreeMap;
use std::fs;

use nixos_nspawn_tests::golden::{Root, difference, for_each_case};
use nixos_nspawn_tests::manifest::{manifest, paths};

const NEIGHBOUR: &str = "neighbour-of-the-case";

/// Returns the files of each container, by name, without warnings about others and lines of the host's boot limit.
fn by_container(root: &Root) -> BTreeMap<String, String> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    let units = root.units();
    for path in paths(&units) {
        let shown = path.to_str().expect("UTF-8");
        let name = shown.split_once("systemd-nspawn@").and_then(|(_, rest)| rest.split_once(".service"));
        let own = || shown.strip_prefix("nixos-nspawn/")?.rsplit_once('.');
        let Some((name, _)) = name.or_else(own) else { continue };
        let full = units.join(&path);
        let text = if full.is_symlink() {
            fs::read_link(&full).expect("just seen").display().to_string()
        } else if full.is_dir() {
            continue;
        } else {
            let text = fs::read_to_string(&full).expect("readable");
            text.lines()
                .filter(|line| !line.starts_with("# warning: "))
                .filter(|line| {
                    !["Wants=nixos-nspawn-turn-", "After=nixos-nspawn-turn-", "Slice=machine-nixosnspawn."]
                        .iter()
                        .any(|start| line.starts_with(start))
                        && *line != "StartLimitIntervalSec=0"
                })
                .map(|line| format!("{line}\n"))
                .collect()
        };
        *texts.entry(name.to_owned()).or_default() += &format!("{shown}\n{text}");
    }
    texts
}

#[test]
fn refused_files_change_nothing_for_others() {
    for_each_case(|case| {
        let root = case.root();
        root.generate();
        let all = by_container(&root);
        let refused = |text: &String| text.contains("/unit-helper --refuse ");
        let without = case.root();
        let mut declarative = without.intents().join("declarative.d");
        // A link leads to another directory of the same root.
        if let Some(target) = fs::read_link(&declarative).ok().filter(|target| target.is_absolute()) {
            let below = target.strip_prefix("/").expect("absolute");
            declarative = without.intents().join("../..").join(below);
        }
        for (name, _) in all.iter().filter(|(_, text)| refused(text)) {
            // Both files of a name are removed, because without one the other would be used.
            for folder in [&without.intents(), &declarative] {
                let path = folder.join(format!("{name}.json"));
                let removed =
                    if path.is_dir() && !path.is_symlink() { fs::remove_dir_all } else { fs::remove_file };
                match removed(&path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(error.to_string());
                    }
                    _ => {}
                }
            }
        }
        without.generate();
        let others: BTreeMap<_, _> = all.into_iter().filter(|(_, text)| !refused(text)).collect();
        let now = by_container(&without);
        if others == now { Ok(()) } else { Err(difference(&format!("{others:#?}"), &format!("{now:#?}"))) }
    });
}

#[test]
fn a_valid_neighbour_is_not_affected() {
    let intent = include_str!("../../examples/intent/minimal.json");
    let add = |root: &Root| {
        let path = root.intents().join(format!("{NEIGHBOUR}.json"));
        fs::write(&path, intent).map_err(|error| format!("{}: {error}", path.display()))
    };
    let alone = Root::empty();
    fs::create_dir_all(alone.intents()).expect("new");
    add(&alone).expect("written");
    assert_eq!(alone.generate().status, 0);
    let expected = by_container(&alone).remove(NEIGHBOUR).expect("it has units");
    for_each_case(|case| {
        let root = case.root();
        // Without the directory there are no neighbours.
        if !root.intents().is_dir() || root.intents().is_symlink() {
            return Ok(());
        }
        add(&root)?;
        let outcome = root.generate();
        let folder = format!("/etc/nixos-nspawn/{NEIGHBOUR}.json: is in /etc/nixos-nspawn, which ");
        if outcome.stderr.contains(&folder) {
            return Ok(());
        }
        let now = by_container(&root).remove(NEIGHBOUR).ok_or(manifest(&root.units()))?;
        if expected == now { Ok(()) } else { Err(difference(&expected, &now)) }
    });
}
