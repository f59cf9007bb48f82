//! Property tests of the built generator: arbitrary bytes, arbitrary changes of valid intents, and arbitrary valid intents,
//! whose output systemd's parsers read. It never dies from a signal, and a bad file never affects another's units.

#[path = "../../units/tests/arbitrary/mod.rs"]
mod arbitrary;

use std::fs;

use nixos_nspawn_tests::golden::Root;
use nixos_nspawn_tests::systemd::{Input, Systemd};
use nixos_nspawn_units::intent::parse;
use nixos_nspawn_units::name::MachineName;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::Value;

fn root_with(files: &[(String, Vec<u8>)]) -> Root {
    let root = Root::empty();
    fs::create_dir_all(root.intents()).expect("new");
    for (name, bytes) in files {
        fs::write(root.intents().join(name), bytes).expect("written");
    }
    root
}

fn good() -> (String, Vec<u8>) {
    let text = format!("{{\"version\":1,\"toplevel\":\"{}\"}}", arbitrary::TOPLEVEL);
    ("good.json".to_owned(), text.into_bytes())
}

/// Returns the lines of the outcome's tree that belong to the valid neighbour.
fn of_good(root: &Root) -> Vec<(String, Vec<u8>)> {
    ["nixos-nspawn/good.nspawn", "systemd-nspawn@good.service.d/50-nixos-nspawn.conf"]
        .map(|path| {
            (path.to_owned(), fs::read(root.units().join(path)).expect("the neighbour has its units"))
        })
        .to_vec()
}

/// Names that claim no host port and no interface of the neighbour.
fn numbered(contents: Vec<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    contents.into_iter().enumerate().map(|(at, bytes)| (format!("bad{at}.json"), bytes)).collect()
}

fn neighbour_is_unharmed(bad: Vec<(String, Vec<u8>)>) -> Result<(), TestCaseError> {
    let alone = root_with(&[good()]);
    alone.generate();
    let count = bad.len();
    let root = root_with(&[bad, vec![good()]].concat());
    // Panics if the generator dies from a signal.
    let outcome = root.generate();
    prop_assert!(outcome.status == 0 || outcome.status == 1, "{}", outcome.text());
    prop_assert!(!outcome.stderr.contains("internal"), "{}", outcome.stderr);
    prop_assert_eq!(of_good(&root), of_good(&alone));
    // Each container has units.
    let drop_ins = fs::read_dir(root.units()).expect("readable").flatten().filter(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("systemd-nspawn@") && name.ends_with(".service.d")
    });
    prop_assert_eq!(drop_ins.count(), count + 1);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn arbitrary_bytes(contents in vec(vec(any::<u8>(), 0..400), 1..8)) {
        neighbour_is_unharmed(numbered(contents))?;
    }

    #[test]
    fn arbitrary_json(contents in vec(json(), 1..8)) {
        neighbour_is_unharmed(numbered(contents.iter().map(|value| value.to_string().into_bytes()).collect()))?;
    }

    #[test]
    fn damaged_intents(damaged in vec((arbitrary::intent(), any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let contents = damaged.into_iter().map(|(value, at, byte)| {
            let mut bytes = value.to_string().into_bytes();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes
        });
        neighbour_is_unharmed(numbered(contents.collect()))?;
    }

    /// Names may be anything a file system holds.
    #[test]
    fn arbitrary_file_names(names in vec("[^/\\x00]{0,40}", 1..8)) {
        let mut names: Vec<String> = names.into_iter().map(|name| format!("{name}.json")).collect();
        names.sort();
        names.dedup();
        names.retain(|name| name.len() < 255 && name != "good.json");
        let contents = good().1;
        let files: Vec<_> = names.into_iter().map(|name| (name, contents.clone())).collect();
        let alone = root_with(&[good()]);
        alone.generate();
        let root = root_with(&[files, vec![good()]].concat());
        let outcome = root.generate();
        prop_assert!(outcome.status == 0 || outcome.status == 1, "{}", outcome.text());
        prop_assert_eq!(of_good(&root), of_good(&alone));
        for line in outcome.stderr.lines() {
            prop_assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(Value::from(arbitrary::TOPLEVEL)),
    ];
    let key = prop_oneof![
        Just("version".to_owned()),
        Just("toplevel".to_owned()),
        Just("container".to_owned()),
        Just("activation".to_owned()),
        Just("bindMounts".to_owned()),
        any::<String>(),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((key.clone(), inner), 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Returns how many valid intents systemd's parsers read: NIXOS_NSPAWN_INTENTS, or as many as take some seconds.
fn intents_to_read() -> usize {
    std::env::var("NIXOS_NSPAWN_INTENTS").map_or(300, |text| text.parse().expect("a number of intents"))
}

/// systemd's parsers accept the output for every valid intent without a complaint.
#[test]
fn systemd_accepts_arbitrary_intents_without_a_message() {
    const AT_ONCE: usize = 300;
    let mut runner = TestRunner::deterministic();
    let mut left = intents_to_read();
    while left > 0 {
        let now = left.min(AT_ONCE);
        read_by_systemd(now, &mut runner);
        left -= now;
        eprintln!("{left} intents are left");
    }
}

/// Leaves out containers that come later: a circle of them is refused an order, with a message.
fn without_circles(options: &mut serde_json::Map<String, serde_json::Value>, number: usize) {
    for list in ["after", "requires", "wants"] {
        if let Some(names) = options.get_mut(list).and_then(|names| names.as_array_mut()) {
            let other = |name: &str| name.strip_prefix('c').and_then(|other| other.parse::<usize>().ok());
            names.retain(|name| name.as_str().and_then(other).is_none_or(|other| other < number));
        }
    }
}

fn read_by_systemd(count: usize, runner: &mut TestRunner) {
    let mut files = Vec::new();
    let mut programs = vec![];
    while files.len() < count {
        let mut options = arbitrary::options().new_tree(runner).expect("a value").current();
        without_circles(&mut options, files.len());
        let value = serde_json::json!({"version": 1, "toplevel": arbitrary::TOPLEVEL, "container": options});
        let name: MachineName = format!("c{}", files.len()).parse().expect("a machine name");
        let Ok(intent) = parse(value.to_string().as_bytes(), &name) else { continue };
        programs.extend(intent.container.activation.reload_script.map(String::from));
        files.push((format!("{name}.json"), value.to_string().into_bytes()));
    }
    let root = root_with(&files);
    let outcome = root.generate();
    // Ports may be claimed twice; nothing may be refused.
    assert_eq!(outcome.status, 0, "{}", outcome.stderr);
    programs.push(root.helper());
    let inputs = [Input { name: "arbitrary".to_owned(), units: root.units(), programs }];
    for systemd in Systemd::all() {
        assert_eq!(systemd.complaints(&inputs), [], "systemd {}", systemd.version);
    }
}
