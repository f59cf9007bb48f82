//! The conditions of an activation: those stored with the container, and those of the command line.

use std::time::Duration;

use nixos_nspawn_units::intent::{Expect, Intent, parse};

use crate::change::gate::{Before, Expectation};
use crate::decision::crash_loop::SETTLING;
use crate::testing::{store_path, web};

fn intent(activation: &str) -> Intent {
    let toplevel = store_path("one");
    let text =
        format!(r#"{{"version":1,"toplevel":"{toplevel}","container":{{"activation":{{{activation}}}}}}}"#);
    parse(text.as_bytes(), &web()).unwrap()
}

#[test]
fn stored_conditions_count_unless_flags_override_them() {
    let stored = intent(r#""check":"true","expect":"running","timeout":"3min","settleSec":"10s""#);
    let gate = Expectation::default().gate(&stored, Before::default());
    assert_eq!((gate.expect, gate.check), (Expect::Running, Some("true")));
    assert_eq!((gate.limit, gate.settling), (Duration::from_secs(180), Duration::from_secs(10)));

    let given = Expectation {
        expect: Some(Expect::Active),
        check: Some("false"),
        limit: Some(Duration::from_secs(1)),
    };
    let gate = given.gate(&stored, Before::default());
    assert_eq!(
        (gate.expect, gate.check, gate.limit),
        (Expect::Active, Some("false"), Duration::from_secs(1))
    );
    // An empty string turns the stored check off.
    let off = Expectation { check: Some(""), ..Expectation::default() };
    assert_eq!(off.gate(&stored, Before::default()).check, None);

    let nothing = intent("");
    let gate = Expectation::default().gate(&nothing, Before::default());
    assert_eq!((gate.expect, gate.check, gate.settling), (Expect::Degraded, None, SETTLING));
    assert_eq!(gate.limit, Duration::from_secs(90), "the start timeout");
}
