//! What commands cost that name many containers.

use std::process::Stdio;

use nixos_nspawn_tests::offline::Tree;
use serde_json::json;
use wait4::Wait4;

/// A tree with containers, and their names.
fn many(count: usize) -> (Tree, Vec<String>) {
    let tree = Tree::new();
    let names: Vec<String> = (0..count).map(|at| format!("web-{at}")).collect();
    names.iter().for_each(|name| tree.intent(name, json!({ "autostart": true })));
    (tree, names)
}

/// Returns the nanoseconds of processor time of a command that names all. Other load on the machine does not count.
fn processor_time(words: &str, (tree, names): &(Tree, Vec<String>)) -> u128 {
    let words: Vec<&str> = words.split(' ').collect();
    let mut command = tree.command(&words);
    let mut child = command.args(names).stdout(Stdio::null()).spawn().unwrap();
    let ended = child.wait4().unwrap();
    assert!(ended.status.success(), "{words:?}: {}", ended.status);
    (ended.rusage.utime + ended.rusage.stime).as_nanos()
}

/// Four times the names take four times as long, not sixteen times.
#[test]
fn no_command_takes_more_than_linear_time_for_its_names() {
    let (small, large) = (many(500), many(2000));
    for word in ["show", "cat", "status", "enable --dry-run", "remove --dry-run"] {
        let (mut one, mut four) = (processor_time(word, &small), processor_time(word, &large));
        eprintln!("{word}: {one} ns, then {four} ns");
        // The first run may have met a cold cache.
        for _ in 0..3 {
            if four > 8 * one {
                (one, four) = (one.max(processor_time(word, &small)), four.min(processor_time(word, &large)));
            }
        }
        assert!(four <= 8 * one, "{word}: {one} ns, then {four} ns");
    }
}

/// The same for commands that change something. A hundred names are a group, so that the smaller number is more than one.
#[test]
fn changes_take_no_more_than_linear_time_for_their_names() {
    let time = |word: &str, count: usize| processor_time(word, &many(count));
    for word in ["disable", "remove"] {
        let (mut one, mut four) = (time(word, 250), time(word, 1000));
        eprintln!("{word}: {one} ns, then {four} ns");
        for _ in 0..3 {
            if four > 6 * one {
                (one, four) = (one.max(time(word, 250)), four.min(time(word, 1000)));
            }
        }
        assert!(four <= 6 * one, "{word}: {one} ns, then {four} ns");
    }
}
