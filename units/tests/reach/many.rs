//! As many items as fit into a file: an author cannot make a comparison take long or much memory.

use std::time::{Duration, Instant};

use nixos_nspawn_units::reach::Reach;
use serde_json::{Value, json};

use super::{between, container};

#[test]
fn many_items_are_compared_in_time() {
    let list = |one: &dyn Fn(usize) -> Value| (0..16_000).map(one).collect::<Value>();
    for (option, value, other) in [
        ("bindMounts", list(&|at| json!(format!("/s/{at}"))), list(&|at| json!(format!("/t/{at}")))),
        ("bindMounts", list(&|at| json!(format!("/s:/{at}"))), list(&|at| json!(format!("/s:/a{at}")))),
        ("inaccessiblePaths", list(&|at| json!(format!("/s/{at}"))), list(&|at| json!(format!("/t/{at}")))),
        (
            "tmpfs",
            list(&|at| json!(format!("/s/{at}:size=1M"))),
            list(&|at| json!(format!("/s/{at}:size=2M"))),
        ),
        ("devices", list(&|at| json!(format!("/dev/s{at}:r"))), list(&|at| json!(format!("/dev/s{at}:rw")))),
        (
            "requires",
            list(&|at| json!(format!("s{at}.service"))),
            list(&|at| json!(format!("t{at}.service"))),
        ),
        (
            "forwardPorts",
            list(&|at| json!(format!("{}", at + 1))),
            list(&|at| json!(format!("udp:{}", at + 1))),
        ),
        ("serviceConfig", settings("X"), settings("Y")),
    ] {
        let (old, new) = (json!({ option: value }), json!({ option: other }));
        // Reading them is measured elsewhere.
        let [old, new] = [container(&old), container(&new)];
        let begin = Instant::now();
        let changes = Reach::of(&old).changes_to(&Reach::of(&new));
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(5), "{option}: {took:?}");
        let same = option == "bindMounts" && changes.is_empty();
        assert!(same || changes.lines().len() >= 16_000, "{option}: {}", changes.lines().len());
    }
}

fn settings(prefix: &str) -> Value {
    (0..16_000).map(|at| (format!("{prefix}{at}"), json!("x"))).collect::<serde_json::Map<_, _>>().into()
}

/// What covers a mount that is covered itself counts once, for the nearest mount.
#[test]
fn nested_mounts_are_few_items() {
    let nested: Vec<String> = (1..600).map(|depth| format!("/s{depth}:{}", "/a".repeat(depth))).collect();
    let lines = Reach::of(&container(&json!({ "bindMounts": nested }))).lines();
    assert!(lines.len() < 1300, "{}", lines.len());

    let three = json!({"bindMounts": ["/a:/x", "/b:/x/y", "/c:/x/y/z"]});
    let words = "which another mount covers";
    let covered = |options: &Value| {
        let lines = Reach::of(&container(options)).lines();
        lines.into_iter().filter(|line| line.contains(words)).collect::<Vec<_>>()
    };
    assert_eq!(
        covered(&three),
        [
            format!("cannot write /a/y, {words} (bindMounts)"),
            format!("cannot write /b/z, {words} (bindMounts)"),
        ]
    );
    // Without the one between, more of the first can be written, and the last covers a part of that.
    let two = json!({"bindMounts": ["/a:/x", "/c:/x/y/z"]});
    let changes = between(&three, &two);
    assert_eq!(changes.no_longer_restricted, [format!("may write /a/y, {words} (bindMounts)")]);
    // A temporary file system hides the files below it already.
    let hidden = json!({"bindMounts": ["/a:/x", "/c:/x/y/z"], "tmpfs": ["/x/y"]});
    assert_eq!(covered(&hidden), [format!("cannot write /a/y, {words} (bindMounts)")]);
}
