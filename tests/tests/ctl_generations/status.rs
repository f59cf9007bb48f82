//! `status`: the recorded and the running generation, and the result of the last activation.

use pretty_assertions::assert_eq;
use serde_json::{Value, json};

use crate::{ACTIVATION, PROFILES, store, zoo};

#[test]
fn status_for_people() {
    let tree = zoo();
    let expected = "\
web
          State: - (unknown: systemd was not asked)
     Generation: 3 is recorded, 5 is the newest
";
    assert_eq!(tree.ok(&["status", "web"]), expected);
    tree.write(&format!("{PROFILES}/last-activation.json"), ACTIVATION);
    let activation = "Last activation: 2026-11-26 10:00:00 failed, generation 4, by restart
                 container 'web' did not start: it failed (timeout)
";
    assert_eq!(tree.ok(&["status", "web"]), format!("{expected}{activation}"));
    // A file truncated by a power failure is ignored.
    tree.write(&format!("{PROFILES}/last-activation.json"), &ACTIVATION[..20]);
    assert_eq!(tree.ok(&["status", "web"]), expected);
}

#[test]
fn status_for_scripts() {
    let tree = zoo();
    tree.write(&format!("{PROFILES}/last-activation.json"), ACTIVATION);
    let mut said = tree.json(&["status", "web", "--json"]);
    let plan = said["plan"].take();
    assert_eq!(plan.as_str().map(str::len), Some(32));
    assert_eq!(
        said,
        json!({
            "name": "web",
            "type": "imperative",
            "unit": "systemd-nspawn@web.service",
            "state": null,
            "sub_state": null,
            "result": null,
            "since": null,
            "generation": 3,
            "running_generation": null,
            "newest_generation": 5,
            "toplevel": store("system-3"),
            "running_toplevel": null,
            "plan": null,
            "running_plan": null,
            "restart_needed": null,
            "reload_needed": false,
            "last_activation": {
                "time": "2026-11-26T10:00:00Z",
                "generation": 4,
                "action": "restart",
                "result": "failed",
                "detail": "container 'web' did not start: it failed (timeout)",
            },
            "error": null,
            "held": null,
            "last_failure": null,
            "warnings": [],
            "notes": [],
        })
    );
}

#[test]
fn status_of_any_container() {
    let tree = zoo();
    tree.write("/etc/nixos-nspawn/broken.json", "{ \"version\": 1 }");
    tree.write(
        "/etc/nixos-nspawn/declarative.d/declared.json",
        &json!({ "version": 1, "toplevel": store("system-1") }).to_string(),
    );
    let said = tree.ok(&["status", "broken"]);
    assert!(said.contains("Notes: the start is refused: /etc/nixos-nspawn/broken.json"), "{said}");
    let said = tree.json(&["status", "broken", "--json"]);
    assert!(
        said["error"].is_string() && said["notes"][0].as_str().unwrap().starts_with("the start is refused"),
        "{said}"
    );
    assert!(tree.ok(&["status", "declared"]).starts_with("declared\n"));
    let said = tree.json(&["status", "declared", "--json"]);
    assert_eq!((&said["type"], &said["generation"]), (&json!("declarative"), &Value::Null));
    assert_eq!(tree.run(&["status", "nobody"]).status, 2);
}
