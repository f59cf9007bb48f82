//! What `update` and `apply` did on several hosts in one table, made of what they print there with `--json`.

use serde::Deserialize;
use serde_json::Value;

use crate::base::output::printable;
use crate::base::table::{Cell, table};
use crate::change::updated::Updated;
use crate::command::updated::{HEADS, error_line, row};

/// Reads the answer of a host, or returns `None` if it is none.
pub(super) fn read(answer: &Value) -> Option<Vec<Updated>> {
    let mut all: Vec<Updated> = Deserialize::deserialize(answer).ok()?;
    // Other hosts do not decide what the terminal does.
    for one in &mut all {
        for text in [&mut one.reason, &mut one.error, &mut one.not_refreshed].into_iter().flatten() {
            *text = printable(text).into_owned();
        }
    }
    Some(all)
}

/// Returns the table of the answers of hosts; empty without any container.
pub(super) fn text(answers: &[(&str, Vec<Updated>)], color: bool) -> String {
    let of_host = |(host, all): &(&str, Vec<Updated>)| -> Vec<Vec<Cell>> {
        all.iter().map(|one| [vec![Cell::plain(*host)], row(one)].concat()).collect()
    };
    let rows: Vec<Vec<Cell>> = answers.iter().flat_map(of_host).collect();
    let heads: Vec<&str> = ["HOST"].into_iter().chain(HEADS).collect();
    if rows.is_empty() { String::new() } else { table(&heads, &rows, color) }
}

/// Returns whether the table says what a message of the host says. It has the first line of an error alone.
pub(super) fn says(all: &[Updated], message: &str) -> bool {
    all.iter().filter_map(error_line).any(|error| error.lines().next() == Some(message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(name: &str, more: &Value) -> Value {
        let mut all = json!({
            "name": name, "result": "updated", "old_generation": 1, "generation": 2, "action": "reload",
            "reason": "the system changed", "error": null, "not_refreshed": null, "snapshot": null,
            "addresses": [], "ports": [], "seconds": 1.25, "changed": true,
        });
        for (key, value) in more.as_object().unwrap() {
            all[key] = value.clone();
        }
        all
    }

    #[test]
    fn results_of_all_hosts_are_in_one_table() {
        let failed = json!({ "result": "failed", "old_generation": null, "generation": null, "action": null,
            "reason": null, "error": "it was rolled back\nsee its journal" });
        let alpha = json!([answer("db", &json!({})), answer("web", &failed)]);
        let gamma = json!([answer("web", &json!({}))]);
        let all: Vec<(&str, Vec<Updated>)> = [("alpha", &alpha), ("beta", &json!([])), ("me@gamma", &gamma)]
            .map(|(host, answer)| (host, read(answer).unwrap()))
            .into();
        let expected = "HOST      NAME  RESULT   GENERATION  TIME     REASON\n\
            alpha     db    updated  1 -> 2      1.2 s    reloaded: the system changed\n\
            alpha     web   failed   -           1.2 s    it was rolled back\n\
            me@gamma  web   updated  1 -> 2      1.2 s    reloaded: the system changed\n";
        assert_eq!(text(&all, false), expected);
        assert!(says(&all[0].1, "container 'web': failed: it was rolled back"));
        for other in ["see its journal", "container 'web': building"] {
            assert!(!says(&all[0].1, other), "{other}");
        }
        assert_eq!(text(&all[1..2], false), "");
    }

    #[test]
    fn what_is_no_answer_is_not_taken_for_nothing_to_do() {
        for odd in [json!("odd"), json!(null), json!([1]), json!([{ "name": "web" }]), json!({})] {
            assert!(read(&odd).is_none(), "{odd}");
        }
    }

    #[test]
    fn other_hosts_do_not_write_to_the_terminal() {
        let odd = json!({ "reason": "\u{1b}[2J", "error": "\u{7}", "not_refreshed": "\u{9b}1m" });
        let shown = text(&[("a", read(&json!([answer("web", &odd)])).unwrap())], false);
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    }
}
