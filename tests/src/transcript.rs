//! Transcripts of commands on a booted host: each command, its output and its exit status, to be compared with files
//! that a person has reviewed. Values that differ between runs are masked: hashes, times, processes, and messages of
//! other programs.

use std::fmt::Write;
use std::path::Path;

use crate::golden::compare;
use crate::host::Host;

/// A text that grows with each command.
pub struct Transcript<'a> {
    host: &'a Host,
    text: String,
}

impl<'a> Transcript<'a> {
    /// Makes an empty one.
    pub fn of(host: &'a Host) -> Self {
        Self { host, text: String::new() }
    }

    /// Adds a heading for the next commands.
    pub fn note(&mut self, line: &str) {
        writeln!(self.text, "\n## {line}").expect("writing to a String cannot fail");
    }

    /// Runs `nixos-nspawn` with the words of this line; blanks within single quotes do not separate words.
    pub fn run(&mut self, line: &str) {
        let quoted = line.split('\'').enumerate();
        let words: Vec<&str> = quoted
            .flat_map(|(at, part)| if at % 2 == 1 { vec![part] } else { part.split(' ').collect() })
            .collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let output = self.host.ctl(&words);
        writeln!(self.text, "\n$ nixos-nspawn {line}").expect("writing to a String cannot fail");
        // Errors of the command line have another format.
        let own = if output.code() == 2 { output.stderr.lines().collect() } else { own(&output.stderr) };
        let stdout = common(&output.stdout);
        let lines =
            stdout.lines().map(masked).chain(own.into_iter().map(|line| format!("! {}", masked(line))));
        for line in lines {
            writeln!(self.text, "{}", line.trim_end()).expect("writing to a String cannot fail");
        }
        if output.code() != 0 {
            writeln!(self.text, "= {}", output.code()).expect("writing to a String cannot fail");
        }
    }

    /// Compares with tests/golden/texts/NAME.txt. Panics with the difference.
    pub fn compare(&self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/texts/{name}.txt"));
        if let Err(difference) = compare(&path, self.text.trim_start()) {
            panic!("{difference}");
        }
    }
}

/// Keeps our own lines only: Nix's messages differ between versions, and the journal's lines depend on timing.
fn own(stderr: &str) -> Vec<&str> {
    let ours = |line: &&str| {
        line.starts_with("nixos-nspawn: ") && !(line.ends_with(':') && line.contains("journal"))
    };
    stderr.lines().filter(ours).collect()
}

/// Drops the section of `.network` files that only one of the versions of systemd knows, as text and as JSON, and addresses,
/// which a container gets at any time.
fn common(stdout: &str) -> String {
    let section = ["", "[DHCPServer]", "PersistLeases=runtime", "LocalLeaseDomain=_dhcp"];
    let text: String =
        section.iter().map(|line| format!("  | {line}").trim_end().to_owned() + "\n").collect();
    let json = section.map(|line| format!("\\n{line}")).concat();
    without_addresses(&stdout.replace(&text, "").replace(&json, ""))
}

/// Empties the lists of addresses in JSON.
fn without_addresses(stdout: &str) -> String {
    const LIST: &str = "\"addresses\": [";
    let mut parts = stdout.split(LIST);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + LIST + part.find(']').map_or(part, |end| &part[end..]))
}

/// Masks the values in a line that differ between runs.
fn masked(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let (mask, length) = mask(rest, out.chars().last());
        if length > 0 {
            out.push_str(mask);
            rest = &rest[length..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// Returns the mask for the start of a text and the length of that start, or 0 if it is the same in each run.
fn mask(text: &str, before: Option<char>) -> (&'static str, usize) {
    let shape = |pattern: &str| {
        pattern.len() <= text.len()
            && pattern.bytes().zip(text.bytes()).all(|(p, t)| match p {
                b'0' => t.is_ascii_digit(),
                b'x' => t.is_ascii_digit() || t.is_ascii_lowercase(),
                _ => p == t,
            })
    };
    let begins_word = before.is_none_or(|c| !c.is_ascii_alphanumeric());
    let ends_word = |length: usize| text[length..].chars().next().is_none_or(|c| !c.is_ascii_alphanumeric());
    const STORE: &str = "/nix/store/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-";
    const CONSENT: &str = "--allow-host-changes=xxxxxxxxxxxxxxxx";
    const TOKEN: &str = "\"token\": \"xxxxxxxxxxxxxxxx\"";
    const HASH: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
    if shape(STORE) {
        ("/nix/store/HASH-", STORE.len())
    } else if shape("0000-00-00T00:00:00Z") {
        ("DATE", 20)
    } else if shape("0000-00-00 00:00:00") {
        ("DATE               ", 19)
    } else if text.starts_with("sha256-") {
        ("SHA256", text.find(['"', ' ', ',', '&']).unwrap_or(text.len()))
    } else if begins_word && shape(HASH) && ends_word(HASH.len()) {
        ("PLAN", HASH.len())
    } else if shape(CONSENT) {
        ("--allow-host-changes=TOKEN", CONSENT.len())
    } else if shape(TOKEN) {
        ("\"token\": \"TOKEN\"", TOKEN.len())
    } else if let Some(length) = seconds(text).filter(|_| before == Some(' ')) {
        (if text.starts_with('"') { "\"seconds\": 0.0" } else { "TIME  " }, length)
    } else if begins_word && shape("lastModified=0000000000") {
        ("lastModified=TIME", 23)
    } else {
        ("", 0)
    }
}

/// Returns the length of a duration, in a table (with one decimal) or in the answer of `update --json`.
fn seconds(text: &str) -> Option<usize> {
    let number = |text: &str| {
        let digits = text.find(|c: char| !c.is_ascii_digit()).filter(|digits| *digits > 0)?;
        let rest = text[digits..].strip_prefix('.')?;
        rest.starts_with(|c: char| c.is_ascii_digit()).then_some(digits + 2)
    };
    if let Some(rest) = text.strip_prefix("\"seconds\": ") {
        return Some(text.len() - rest.len() + number(rest)?);
    }
    let length = number(text)?;
    // The column's width depends on the duration as well.
    let rest = text[length..].strip_prefix(" s").filter(|rest| rest.is_empty() || rest.starts_with(' '))?;
    Some(text.len() - rest.trim_start().len())
}

#[cfg(test)]
mod tests {
    use super::{masked, own, without_addresses};

    #[test]
    fn changing_values_are_masked() {
        let line = "a 2026-11-23 10:00:00 b 2026-11-23T10:00:00Z /nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-web/init";
        assert_eq!(masked(line), "a DATE                b DATE /nix/store/HASH-web/init");
        assert_eq!(masked("generation 12, 3 of 4"), "generation 12, 3 of 4");
        assert_eq!(masked("web  updated  1 -> 2  10.3 s  reloaded"), "web  updated  1 -> 2  TIME  reloaded");
        assert_eq!(masked("  \"seconds\": 0.3"), "  \"seconds\": 0.0");
        let text = "nixos-nspawn: the journal:\n  a\n  b\nnixos-nspawn: done\nerror: x\n  y\n";
        assert_eq!(own(text), ["nixos-nspawn: done"]);
        let json = "{\n  \"addresses\": [\n    \"10.0.0.2\"\n  ],\n  \"ports\": [],\n  \"addresses\": []\n}";
        let empty = "{\n  \"addresses\": [],\n  \"ports\": [],\n  \"addresses\": []\n}";
        assert_eq!(without_addresses(json), empty);
    }
}
