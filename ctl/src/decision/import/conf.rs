//! Reads a configuration of nixos-container: lines `KEY=VALUE`, as for `EnvironmentFile=` (`systemd.exec(5)`). Nothing is
//! expanded or run: whatever means more than itself to a shell is refused.

use std::collections::BTreeMap;

/// The variables of a configuration.
pub(crate) type Conf = BTreeMap<String, String>;

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its number, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) reason: String,
}

/// What a shell would not take literally, even in double quotes.
const EXPANDED: [char; 3] = ['$', '`', '\\'];

/// What a shell would not take literally outside quotes.
const OPERATORS: &str = ";|&<>(){}*?[]~!#";

/// Parses a configuration. The last assignment of a variable counts.
pub(crate) fn parse(text: &str) -> Result<Conf, Fault> {
    let mut conf = Conf::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let (key, value) = assignment(line).map_err(|reason| Fault { line: index + 1, reason })?;
        conf.insert(key, value);
    }
    Ok(conf)
}

fn assignment(line: &str) -> Result<(String, String), String> {
    let Some((key, value)) = line.split_once('=') else {
        return Err("is not KEY=VALUE".to_owned());
    };
    let named = key.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !named {
        return Err(format!("'{}' is not the name of a variable", key.escape_debug()));
    }
    // nixos-container writes it unquoted, though it may contain `?` and `&`. It is only shown.
    let shown = key == "FLAKE" && !value.contains(char::is_control);
    Ok((key.to_owned(), if shown { value.to_owned() } else { literal(value)? }))
}

/// Returns a value without its quotes.
fn literal(value: &str) -> Result<String, String> {
    let mut text = String::with_capacity(value.len());
    let mut quote: Option<char> = None;
    for c in value.chars() {
        match (quote, c) {
            (_, c) if c.is_control() && c != '\t' => {
                return Err(format!("contains the control character {}", c.escape_debug()));
            }
            (Some(open), c) if c == open => quote = None,
            (Some('\''), c) => text.push(c),
            (_, c) if EXPANDED.contains(&c) => {
                return Err(format!("'{c}' is code for a shell, which is not run"));
            }
            (Some(_), c) => text.push(c),
            (None, '"' | '\'') => quote = Some(c),
            (None, c) if OPERATORS.contains(c) || c.is_whitespace() => {
                return Err(format!("'{c}' outside quotes is code for a shell, which is not run"));
            }
            (None, c) => text.push(c),
        }
    }
    match quote {
        Some(open) => Err(format!("the quote {open} is not closed in its line")),
        None => Ok(text),
    }
}
