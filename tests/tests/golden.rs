//! Golden cases: the output of the built generator matches the `expected` file, and invariants hold that do not depend
//! on the input. Without the invariants, one could bless a fault by accident.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use nixos_nspawn_tests::golden::{Outcome, Root, cases, compare, difference, for_each_case};
use nixos_nspawn_tests::manifest::{paths, state};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{DROP_IN, MARKER, OWN_DIRECTORY};
use nixos_nspawn_units::service::PLAN_VARIABLE;
use systemd_unit_syntax::{UnitFile, parse};

#[test]
fn output_is_as_expected() {
    for_each_case(|case| compare(&case.expected(), &case.root().generate().text()));
}

/// A directory may list its entries in any order.
#[test]
fn order_of_files_makes_no_difference() {
    for_each_case(|case| {
        same("forwards", &case.root().generate(), "backwards", &case.root_backwards().generate())
    });
}

/// A second run over the same output replaces nothing: every inode and time stays.
#[test]
fn running_twice_changes_nothing() {
    for_each_case(|case| {
        let root = case.root();
        let (first, before) = (root.generate(), state(&root.units()));
        let second = root.generate();
        same("first", &first, "second", &second)?;
        let after = state(&root.units());
        if before == after { Ok(()) } else { Err(difference(&before, &after)) }
    });
}

/// The intent is only read.
#[test]
fn input_is_not_changed() {
    for_each_case(|case| {
        let root = case.root();
        let before = state(&root.path());
        root.generate();
        let after = state(&root.path());
        if before == after { Ok(()) } else { Err(difference(&before, &after)) }
    });
}

/// `--root` is for tests and images; PID 1 runs the generator on the real root.
#[test]
fn output_is_the_same_on_a_running_system() {
    for_each_case(|case| {
        same("--root", &case.root().generate(), "chroot", &case.root().generate_as_on_a_host())
    });
}

/// The initrd has its own /etc, and no containers to start.
#[test]
fn nothing_is_done_in_the_initrd() {
    for_each_case(|case| {
        let root = case.root();
        let outcome = root.run(root.command().env("SYSTEMD_IN_INITRD", "1"));
        let nothing = Root::empty().generate();
        same("nothing", &nothing, "in the initrd", &outcome)?;
        let root = case.root();
        let outcome = root.run(root.command().env("SYSTEMD_IN_INITRD", "0"));
        same("without the variable", &case.root().generate(), "SYSTEMD_IN_INITRD=0", &outcome)
    });
}

/// The generator may be called with one directory; it never uses the other two (systemd.generator(7)).
#[test]
fn one_output_folder_is_enough() {
    for_each_case(|case| {
        let root = case.root();
        let [normal, ..] = root.outputs();
        let mut command = root.generator();
        let outcome = root.run(command.arg("--root").arg(root.path()).arg(normal));
        same("three", &case.root().generate(), "one", &outcome)
    });
}

/// The status is 1 if something was refused, otherwise 0. Every refusal has a message, and nothing else has one.
#[test]
fn status_shows_whether_something_was_refused() {
    for_each_case(|case| {
        let root = case.root();
        let outcome = root.generate();
        let refused =
            paths(&root.units()).iter().any(|path| path.extension().is_some_and(|e| e == "refused"));
        // A file that does not make a container.
        let ignored = outcome.stderr.lines().any(|line| line.ends_with(", ignoring"));
        let expected = i32::from(refused || ignored);
        if outcome.status != expected {
            return Err(format!("exit status {}, expected {expected}\n{}", outcome.status, outcome.stderr));
        }
        let prefix = |line: &str| line.starts_with("nixos-nspawn-generator: ");
        match outcome.stderr.lines().find(|line| !prefix(line) || line.chars().any(char::is_control)) {
            Some(line) => Err(format!("a message is not one line with the program's name: {line:?}")),
            None => Ok(()),
        }
    });
}

/// Each intent is visible as a unit: a valid one with settings, a refused one with the reason. For a file name that is not
/// a machine name there is a message.
#[test]
fn every_intent_is_visible() {
    for_each_case(|case| {
        let root = case.root();
        let outcome = root.generate();
        let mut known = BTreeSet::new();
        for name in intent_names(&root.path())? {
            match name.parse::<MachineName>() {
                Ok(name) => {
                    known.insert(name);
                }
                Err(error) if outcome.stderr.contains(&format!("'{name}' is not a machine name")) => {
                    drop(error)
                }
                // In an untrusted directory, names are not checked.
                Err(_) if outcome.stderr.contains(&format!("/{name}.json: is in /")) => {}
                Err(error) => return Err(format!("no message for a bad name: {error}")),
            }
        }
        let units: BTreeSet<MachineName> = paths(&root.units())
            .iter()
            .filter_map(|path| {
                path.to_str()?.strip_suffix(".service.d")?.strip_prefix("systemd-nspawn@")?.parse().ok()
            })
            .collect();
        if units != known {
            return Err(format!("intents: {known:?}\nunits: {units:?}"));
        }
        units.iter().try_for_each(|name| shape(&root.units(), name))
    });
}

/// Returns the names of all files in a root that look like intents.
fn intent_names(root: &Path) -> Result<BTreeSet<String>, String> {
    // NixOS may make declarative.d a link into the store. The names behind any other link are refused.
    let followed = |directory: PathBuf| match fs::read_link(&directory) {
        Ok(target) if target.is_absolute() => root.join(target.strip_prefix("/").expect("absolute")),
        Ok(target) => directory.with_file_name(target),
        Err(_) => directory,
    };
    let own = followed(root.join("etc/nixos-nspawn"));
    let declarative = followed(own.join("declarative.d"));
    let mut names = BTreeSet::new();
    for directory in [&own, &declarative] {
        let real = |directory: &Path| fs::symlink_metadata(directory).is_ok_and(|meta| meta.is_dir());
        if !real(&own) || !real(directory) {
            continue;
        }
        for entry in fs::read_dir(directory).map_err(|e| e.to_string())? {
            let name = entry.map_err(|e| e.to_string())?.file_name();
            // A name that is not UTF-8 is not a machine name.
            let Some(name) = name.to_str().and_then(|name| name.strip_suffix(".json")) else { continue };
            let reserved = name.starts_with('.') || directory == &own && name == "host";
            if !reserved && !name.contains(char::is_control) {
                names.insert(name.to_owned());
            }
        }
    }
    Ok(names)
}

/// Checks the files of a container in the output directory.
fn shape(units: &Path, name: &MachineName) -> Result<(), String> {
    let unit = format!("systemd-nspawn@{name}.service");
    let drop_in = settings(&units.join(format!("{unit}.d/{DROP_IN}")))?;
    let own = units.join(OWN_DIRECTORY);
    let (nspawn, refused) = (own.join(format!("{name}.nspawn")), own.join(format!("{name}.refused")));
    let starts: Vec<&str> = drop_in.values("Service", "ExecStartPre").collect();
    match (nspawn.exists(), refused.exists()) {
        (true, false) => {
            let text = fs::read_to_string(&nspawn).map_err(|e| e.to_string())?;
            settings(&nspawn)?;
            let marker = text.lines().next().and_then(|line| line.strip_prefix("# ")?.strip_prefix(MARKER));
            let hash = marker.ok_or(format!("{name}: the first line of its settings is no marker"))?;
            let variable = format!("{PLAN_VARIABLE}={hash}");
            if hash.len() != 32 || !drop_in.values("Service", "Environment").any(|value| value == variable) {
                return Err(format!("{name}: the drop-in does not carry the plan {hash}"));
            }
            if !starts.last().is_some_and(|line| line.ends_with(&format!(" --prepare {name}"))) {
                return Err(format!("{name}: is not prepared: {starts:?}"));
            }
        }
        (false, true) => {
            let text = fs::read_to_string(&refused).map_err(|e| e.to_string())?;
            if text.lines().count() != 1 || !text.contains(&format!("'{name}'")) {
                return Err(format!("{name}: the reason is not one line that names it: {text:?}"));
            }
            if starts.len() != 1 || !starts[0].ends_with(&format!(" --refuse {name}")) {
                return Err(format!("{name}: its start is not refused: {starts:?}"));
            }
        }
        both => return Err(format!("{name}: settings and refusal are there: {both:?}")),
    }
    let wanted = ["machines", "multi-user"]
        .map(|target| fs::read_link(units.join(format!("{target}.target.wants/{unit}"))).ok());
    match &wanted {
        [None, None] => Ok(()),
        [Some(one), Some(other)] if one == other && one == Path::new("../systemd-nspawn@.service") => Ok(()),
        _ => Err(format!("{name}: links of the two targets differ: {wanted:?}")),
    }
}

/// Parses a generated file. It must have no warnings, and rendering it again must give the same text.
fn settings(path: &Path) -> Result<UnitFile, String> {
    let text = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let parsed = parse(&text).map_err(|e| format!("{}: {e}", path.display()))?;
    if !parsed.warnings.is_empty() {
        return Err(format!("{}: {:?}", path.display(), parsed.warnings));
    }
    if parsed.file.without_comments().to_string().as_bytes() != without_comments(&text) {
        return Err(format!("{}: is not read back as it was written", path.display()));
    }
    Ok(parsed.file)
}

fn without_comments(text: &[u8]) -> Vec<u8> {
    let lines = text.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"#"));
    let text: Vec<u8> = lines.flatten().copied().collect();
    text.strip_prefix(b"\n").map(<[u8]>::to_vec).unwrap_or(text)
}

fn same(what: &str, one: &Outcome, other_what: &str, other: &Outcome) -> Result<(), String> {
    if one == other {
        return Ok(());
    }
    Err(format!("- {what}\n+ {other_what}\n{}", difference(&one.text(), &other.text())))
}

/// A directory that was renamed in part must not go unnoticed.
#[test]
fn every_case_has_an_expectation_and_a_root() {
    for case in cases() {
        assert!(case.expected().exists(), "case {}: no expected file", case.name);
        assert!(case.root().path().join("etc").exists(), "case {}: no etc", case.name);
    }
}
