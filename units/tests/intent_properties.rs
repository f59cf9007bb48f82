//! Properties of intents: no input makes the parser panic, and what parses is written the same again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "clippy takes helpers of tests for ordinary code"
)]

mod arbitrary;
mod mutated;

use std::collections::BTreeMap;

use nixos_nspawn_units::intent::{parse, parse_data, reads_as_autostart};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use serde_json::Value;

use mutated::{mutated, name, parsed};

proptest! {
    /// Whatever the bytes are, the answer is an intent or one line that says why not.
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        for answer in [parse(&bytes, &name("web")).map(drop), parse_data(&bytes).map(drop)] {
            if let Err(fault) = answer {
                prop_assert!(!fault.to_string().contains(char::is_control), "{fault}");
            }
        }
        reads_as_autostart(&bytes);
    }

    #[test]
    fn any_change_of_a_good_intent(value in mutated()) {
        match parsed(&value, &name("web")) {
            Ok(_) => {}
            Err(fault) => {
                let text = fault.to_string();
                prop_assert!(!text.contains(char::is_control) && !text.is_empty(), "{text:?}");
                prop_assert!(!text.contains("internal") && !text.contains("untagged"), "{text:?}");
            }
        }
        let mut data = value["container"].clone();
        parse_data(data.to_string().as_bytes()).map(drop).unwrap_or_default();
        if let Value::Object(fields) = &mut data {
            fields.insert("version".to_owned(), 1.into());
            let _ = parse_data(data.to_string().as_bytes());
        }
    }

    /// An intent that is cut off and overwritten anywhere, as by a full disk.
    #[test]
    fn any_damage(value in arbitrary::intent(), at: prop::sample::Index, byte: u8, cut: bool) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        if cut { bytes.truncate(at) } else { bytes[at] = byte }
        if let Err(fault) = parse(&bytes, &name("web")) {
            prop_assert!(!fault.to_string().contains(char::is_control), "{fault}");
        }
    }

    /// What is recorded is what was meant.
    #[test]
    fn intents_are_read_back_as_written(value in arbitrary::intent()) {
        let web = name("web");
        let Ok(intent) = parsed(&value, &web) else { return Ok(()) };
        let text = intent.to_json().unwrap();
        let again = parse(text.as_bytes(), &web);
        prop_assert_eq!(again.as_ref(), Ok(&intent), "{}", text);
        prop_assert_eq!(again.unwrap().to_json().unwrap(), text);
        // A profile's data.json gives the same options.
        let mut container = serde_json::to_value(&intent.container).unwrap();
        container["version"] = 1.into();
        prop_assert_eq!(parse_data(container.to_string().as_bytes()).unwrap().container, intent.container);
    }
}

/// The strategy is useful only if most of its intents are valid.
#[test]
fn most_arbitrary_intents_are_good() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut faults: BTreeMap<String, u32> = BTreeMap::new();
    let mut good = 0;
    for _ in 0..300 {
        let value = arbitrary::intent().new_tree(&mut runner).unwrap().current();
        match parsed(&value, &name("web")) {
            Ok(_) => good += 1,
            Err(fault) => *faults.entry(fault.to_string()).or_default() += 1,
        }
    }
    assert!(good > 200, "only {good} of 300 are good: {faults:#?}");
}
