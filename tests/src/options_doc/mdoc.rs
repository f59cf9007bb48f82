//! Renders man/nixos-nspawn-options.5, in mdoc(7).

use super::description::{Block, Piece, blocks, pieces};
use super::value::shown;
use super::{Documented, grouped};

const HEAD: &str = r#".\" Generated from nix/options.nix by tests/src/options_doc; do not edit.
.Dd November 23, 2026
.Dt NIXOS-NSPAWN-OPTIONS 5
.Os nixos-nspawn
.Sh NAME
.Nm nixos-nspawn-options
.Nd NixOS options of a container
.Sh SYNOPSIS
.Bd -literal
{
  nixosContainer.bindMounts = [ \(dq/srv/data\(dq ];
}
.Ed
.Sh DESCRIPTION
Set these options as
.Ic nixosContainer . Ns Ar NAME
in the container\(aqs NixOS configuration.
In a host\(aqs configuration, they are options of
.Ic nixos.containers.instances . Ns Ar NAME ;
in an intent,
.Xr nixos-nspawn.json 5 ,
they are fields of
.Ql container .
An option that is null or an empty list is not set.
Settings in parentheses, such as
.Ql Bind= ,
are those of
.Xr systemd.nspawn 5 ,
.Xr systemd.exec 5
and
.Xr systemd.resource-control 5
that the option sets.
.Sh OPTIONS
"#;
const TAIL: &str = "\
.Sh SEE ALSO
.Xr nixos-nspawn.json 5 ,
.Xr systemd.nspawn 5 ,
.Xr nixos-nspawn 8
";

/// Returns the text of the manual page.
pub fn mdoc(options: &[Documented]) -> String {
    let mut lines = Vec::new();
    for (title, options) in grouped(options) {
        lines.extend([format!(".Ss {title}"), ".Bl -tag -width Ds".to_owned()]);
        lines.extend(options.into_iter().flat_map(item));
        lines.push(".El".to_owned());
    }
    format!("{HEAD}{}\n{TAIL}", lines.join("\n"))
}

fn item(option: &Documented) -> Vec<String> {
    let mut lines = facts(option);
    lines.push(".Pp".to_owned());
    lines.extend(description(option));
    if let Some(example) = &option.example {
        lines.extend([".Pp".to_owned(), "Example:".to_owned()]);
        lines.extend(literal(&format!("{} = {};", option.name, shown(example))));
    }
    if !option.elements.is_empty() {
        let head = [".Pp", "As an attribute set, an element has these options:", ".Bl -tag -width Ds"];
        lines.extend(head.map(str::to_owned));
        for element in &option.elements {
            lines.extend(facts(element));
            lines.push(".br".to_owned());
            lines.extend(description(element));
        }
        lines.push(".El".to_owned());
    }
    lines
}

/// Returns the name, the type and the default.
fn facts(option: &Documented) -> Vec<String> {
    let mut lines = vec![format!(".It Cm {}", option.name), format!(".Em {} ;", escaped(&option.kind))];
    match option.default.as_ref().map(shown) {
        None => lines.push("required.".to_owned()),
        Some(default) => {
            assert!(!default.contains('\n'), "{}: a default of several lines", option.name);
            lines.extend(["default".to_owned(), format!(".Ql {} .", argument(&default))]);
        }
    }
    if let Some(name) = &option.containers {
        lines.extend([
            "In NixOS\\(aqs".to_owned(),
            ".Ic containers . Ns Ar NAME :".to_owned(),
            format!(".Ic {name} ."),
        ]);
    }
    lines
}

fn description(option: &Documented) -> Vec<String> {
    let mut lines = Vec::new();
    for block in blocks(&option.description) {
        match block {
            // A display brings its own vertical space.
            Block::Code(code) => lines.extend(literal(&code)),
            Block::Paragraph(text) => {
                if !lines.is_empty() {
                    lines.push(".Pp".to_owned());
                }
                lines.extend(paragraph(&text));
            }
        }
    }
    lines
}

fn paragraph(text: &str) -> Vec<String> {
    let pieces = pieces(text);
    let mut lines = Vec::new();
    // An opening bracket before a macro is part of it, and so is the punctuation after it.
    let mut open = "";
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => {
                let text = if index > 0 { text.trim_start_matches(CLOSING) } else { text };
                let bracketed = text.strip_suffix('(').filter(|_| index + 1 < pieces.len());
                open = if bracketed.is_some() { "( " } else { "" };
                lines.extend(sentences(bracketed.unwrap_or(text)));
            }
            Piece::Code(role, word) => {
                let mut line = match (role, word.strip_suffix(')').and_then(|word| word.split_once('('))) {
                    (Some("manpage"), Some((page, section))) => format!(".Xr {open}{page} {section}"),
                    (Some("option"), _) => format!(".Ic {open}{}", argument(word)),
                    _ => format!(".Ql {open}{}", argument(word)),
                };
                if let Some(Piece::Text(next)) = pieces.get(index + 1) {
                    let behind = next.len() - next.trim_start_matches(CLOSING).len();
                    line.extend(next[..behind].chars().flat_map(|mark| [' ', mark]));
                }
                lines.push(line);
            }
        }
    }
    lines
}

/// Punctuation that goes on the line of the preceding macro.
const CLOSING: &[char] = &[']', ')', '.', ',', ':', ';', '?', '!'];
/// Words that mdoc treats as punctuation.
const DELIMITERS: &[&str] = &["[", "]", "(", ")", ".", ",", ":", ";", "?", "!", "|"];

/// Returns running text with a line for each sentence.
fn sentences(text: &str) -> Vec<String> {
    let broken = text.trim().replace(". ", ".\n").replace("; ", ";\n");
    broken.lines().filter(|line| !line.is_empty()).map(protected).collect()
}

fn literal(text: &str) -> Vec<String> {
    let mut lines = vec![".Bd -literal -offset indent".to_owned()];
    lines.extend(text.split('\n').map(protected));
    lines.push(".Ed".to_owned());
    lines
}

/// Returns a line of text, protected from being read as a macro.
fn protected(line: &str) -> String {
    let guard = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
    format!("{guard}{}", escaped(line))
}

/// Returns a word for a macro line: quoted if it contains blanks, and protected from being read as punctuation.
fn argument(text: &str) -> String {
    // An empty list or set stays on one line.
    if let "[ ]" | "{ }" = text {
        return format!("\"{}\"", text.replace(' ', "\\ "));
    }
    let safe = if DELIMITERS.contains(&text) { format!("\\&{text}") } else { escaped(text) };
    if text.is_empty() || text.contains(' ') { format!("\"{safe}\"") } else { safe }
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\e"),
            '"' => escaped.push_str("\\(dq"),
            '~' => escaped.push_str("\\(ti"),
            '^' => escaped.push_str("\\(ha"),
            '`' => escaped.push_str("\\(ga"),
            '\'' => escaped.push_str("\\(aq"),
            c => escaped.push(c),
        }
    }
    escaped
}
