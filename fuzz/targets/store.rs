//! A directory of intents, separated by NUL bytes in the input: valid ones are planned whatever the others
//! contain.
#![no_main]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use nixos_nspawn_units::plan::plan;
use nixos_nspawn_units::store::{Trust, load};
use tempfile::TempDir;

const GOOD: &str =
    r#"{"version":1,"toplevel":"/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-good"}"#;

static ROOT: LazyLock<TempDir> = LazyLock::new(|| tempfile::tempdir().expect("a folder"));

fuzz_target!(|bytes: &[u8]| {
    let intents: PathBuf = ROOT.path().join("etc/nixos-nspawn");
    let _ = fs::remove_dir_all(&intents);
    fs::create_dir_all(&intents).expect("new");
    for (at, text) in bytes.split(|byte| *byte == 0).take(4).enumerate() {
        fs::write(intents.join(format!("c{at}.json")), text).expect("written");
    }
    fs::write(intents.join("good.json"), GOOD).expect("written");
    let also = fs::metadata(&intents).map(|found| std::os::unix::fs::MetadataExt::uid(&found)).ok();
    let plan = plan(&load(ROOT.path(), Trust { also }));
    let good = plan.containers.iter().find(|container| container.name.as_str() == "good");
    assert!(good.is_some_and(|good| good.refusal.is_none()), "{bytes:?}");
});
