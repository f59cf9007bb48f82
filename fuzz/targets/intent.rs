//! An intent is either refused, or survives a round trip, and all files planned for it can be written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nixos_nspawn_units::intent::parse;
use nixos_nspawn_units::plan::{Entry, plan_one};
use nixos_nspawn_units::store::Kind;

fuzz_target!(|bytes: &[u8]| {
    let name = "web".parse().expect("a name");
    let Ok(intent) = parse(bytes, &name) else { return };
    let text = intent.to_json().expect("JSON");
    assert_eq!(parse(text.as_bytes(), &name).as_ref(), Ok(&intent), "{text}");
    let plan = plan_one(&name, Kind::Imperative, "/etc/nixos-nspawn/web.json", &intent);
    for (path, entry) in &plan.files {
        if let Entry::File(text) = entry {
            assert!(systemd_unit_syntax::parse(text.as_bytes()).is_ok(), "{path}: {text}");
        }
    }
});
