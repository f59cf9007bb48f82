//! Checks the syntax of any unit file, and the settings of files whose sections and keys are known.

use super::finding::{Effect, Finding, Place};
use crate::nearest::nearest;
use systemd_unit_syntax::{Fault, Ignored, Line, is_section_name, lines};

/// The types of units and the sections of their own.
const OWN: &[(&str, &str)] = &[
    ("automount", "Automount"),
    ("device", "Device"),
    ("mount", "Mount"),
    ("path", "Path"),
    ("scope", "Scope"),
    ("service", "Service"),
    ("slice", "Slice"),
    ("socket", "Socket"),
    ("swap", "Swap"),
    ("target", "Target"),
    ("timer", "Timer"),
];

/// Returns what PID 1 would ignore or refuse of the syntax of a unit of this type, such as `service`, or of a drop-in of
/// one. Settings are not looked up, see systemd-analyze(1); sections are, unless the type is not one of PID 1's.
pub fn unit(bytes: &[u8], kind: &str) -> Vec<Finding> {
    let own = OWN.iter().find(|(known, _)| *known == kind).map(|(_, section)| *section);
    let sections = own.map(|own| ["Unit", own, "Install"]);
    let known = |name: &str| sections.is_none_or(|sections| sections.contains(&name));
    let mut found = Vec::new();
    read(bytes, &mut found, Effect::Ignored, |item, number, found| {
        if let Item::Header(name) = item {
            if !known(name) {
                found.push(unknown_section(
                    number,
                    name,
                    sections.as_ref().map_or(&[], |all| all.as_slice()),
                ));
            }
            return known(name);
        }
        true
    });
    found
}

/// Returns what is wrong with a file that has these sections and keys and no others, such as nixos-nspawn.conf(5). Values
/// are checked by `check`, which returns the reason for refusing one.
pub fn settings(
    bytes: &[u8],
    sections: &[(&str, &[&str])],
    mut check: impl FnMut(&str, &str, &str) -> Result<(), String>,
) -> Vec<Finding> {
    let names: Vec<&str> = sections.iter().map(|(name, _)| *name).collect();
    let mut current = "";
    let mut found = Vec::new();
    read(bytes, &mut found, Effect::Refused, |item, number, found| match item {
        Item::Header(name) => match sections.iter().find(|(known, _)| *known == name) {
            Some((known, _)) => {
                current = known;
                true
            }
            None => {
                let unknown = unknown_section(number, name, &names);
                found.push(Finding { reason: "is not known".to_owned(), effect: Effect::Refused, ..unknown });
                false
            }
        },
        Item::Assignment(key, value) => {
            let keys =
                sections.iter().find(|(known, _)| *known == current).map_or([].as_slice(), |(_, keys)| keys);
            let reason = match keys.contains(&key) {
                true => check(current, key, value).err().map(|reason| (reason, None)),
                false => Some(("is not known".to_owned(), nearest(key, keys.iter().copied()))),
            };
            found.extend(reason.map(|(reason, meant)| Finding {
                line: Some(number),
                place: Some(Place::Setting(current.to_owned(), key.to_owned())),
                reason,
                meant: meant.map(str::to_owned),
                ..Finding::default()
            }));
            true
        }
    });
    found
}

/// A line of interest.
enum Item<'a> {
    Header(&'a str),
    Assignment(&'a str, &'a str),
}

/// Reads all lines. `on` gets the headers and assignments that systemd does not leave to others, and returns whether the
/// section is to be read.
fn read(
    bytes: &[u8],
    found: &mut Vec<Finding>,
    effect: Effect,
    mut on: impl FnMut(Item<'_>, usize, &mut Vec<Finding>) -> bool,
) {
    let mut section: Option<String> = None;
    let mut wanted = true;
    for (number, line) in lines(bytes) {
        match (line, section.as_deref()) {
            (Err(fault), _) => found.push(refused(number, fault)),
            (Ok(Line::Comment(_)), _) => {}
            (Ok(Line::Header(name)), _) if !is_section_name(&name) => {
                found.push(refused(number, Fault::SectionName));
                return;
            }
            (Ok(Line::Header(name)), _) => {
                wanted = !name.starts_with("X-") && on(Item::Header(&name), number, found);
                section = Some(name.into_owned());
            }
            (Ok(Line::Other(_)), None) => {
                found.push(with(effect, ignored(number, None, Ignored::OutsideSection)));
            }
            (Ok(Line::Other(_)), Some(_)) if !wanted => {}
            (Ok(Line::Other(text)), Some(section)) => match Line::assignment(&text) {
                Ok((key, _)) if key.starts_with("X-") => {}
                Ok((key, value)) => {
                    on(Item::Assignment(key, value), number, found);
                }
                Err(reason) => found.push(with(effect, ignored(number, Some(section), reason))),
            },
        }
    }
}

/// Returns a finding of a line that is refused instead of ignored.
fn with(effect: Effect, finding: Finding) -> Finding {
    let reason = match effect {
        Effect::Refused => finding.reason.trim_end_matches(", ignored").to_owned(),
        Effect::Ignored => finding.reason.clone(),
    };
    Finding { effect, reason, ..finding }
}

/// Returns the finding of a line that systemd ignores.
pub(super) fn ignored(line: usize, section: Option<&str>, reason: Ignored) -> Finding {
    Finding {
        line: Some(line),
        place: section.map(|section| Place::Section(section.to_owned())),
        reason: match reason {
            Ignored::NoEquals => "the line has no '=', ignored".to_owned(),
            Ignored::NoKey => "the line has no key before the '=', ignored".to_owned(),
            Ignored::OutsideSection => "the line stands before the first section, ignored".to_owned(),
        },
        effect: Effect::Ignored,
        ..Finding::default()
    }
}

/// Returns the finding of a line at which systemd stops.
pub(super) fn refused(line: usize, fault: Fault) -> Finding {
    let subject = match fault {
        Fault::TooLong | Fault::NotUtf8 => "the line ",
        Fault::UnclosedHeader | Fault::SectionName => "the ",
    };
    let reason = format!("{subject}{fault}, so the file is refused from here on");
    Finding { line: Some(line), reason, ..Finding::default() }
}

/// Returns the finding of a section that systemd passes over.
pub(super) fn unknown_section(line: usize, name: &str, known: &[&str]) -> Finding {
    Finding {
        line: Some(line),
        place: Some(Place::Section(name.to_owned())),
        reason: "is not known, ignored with all its lines".to_owned(),
        meant: nearest(name, known.iter().copied()).map(str::to_owned),
        effect: Effect::Ignored,
        ..Finding::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn shown(findings: &[Finding]) -> Vec<String> {
        findings.iter().map(|finding| format!("{}: {finding}", finding.line.unwrap_or(0))).collect()
    }

    #[test]
    fn the_syntax_of_a_unit() {
        let text =
            "A=1\n[Unit]\nAfter\n=x\n[Servce]\nnothing\n[X-Mine]\nnothing\n[Service]\nUnknown=1\n[Broken\n";
        let expected = [
            "1: the line stands before the first section, ignored",
            "3: [Unit]: the line has no '=', ignored",
            "4: [Unit]: the line has no key before the '=', ignored",
            "5: [Servce]: is not known, ignored with all its lines; did you mean 'Service'?",
            "11: the section header does not end in ']', so the file is refused from here on",
        ];
        assert_eq!(shown(&unit(text.as_bytes(), "service")), expected);
        // Sections of networkd's files are not known here.
        assert_eq!(unit(b"[Match]\nName=a\n", "network"), []);
    }

    #[test]
    fn the_settings_of_a_file() {
        let check = |section: &str, key: &str, value: &str| match value {
            "bad" => Err(format!("{section} {key} is bad")),
            _ => Ok(()),
        };
        let text = "[Nyx]\nCommand=bad\n[Nix]\nCommand=bad\nCommnd=\nX-Mine=bad\nnothing\n\\\n";
        let found = settings(text.as_bytes(), &[("Nix", &["Command"])], check);
        let expected = [
            "1: [Nyx]: is not known; did you mean 'Nix'?",
            "4: [Nix] Command=: Nix Command is bad",
            "5: [Nix] Commnd=: is not known; did you mean 'Command'?",
            "7: [Nix]: the line has no '='",
        ];
        assert_eq!(shown(&found), expected);
        assert!(found.iter().all(|finding| finding.effect == Effect::Refused));
    }
}
