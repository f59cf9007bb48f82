//! Checks a `.nspawn` file line by line as `systemd-nspawn` reads it (`settings_load()` in `nspawn-settings.c`).

use std::collections::BTreeSet;

use super::finding::{Effect, Finding, Place, Problem};
use super::{unit, values};
use crate::nearest::nearest;
use systemd_unit_syntax::settings::{SETTINGS, Setting, parse_boolean, setting};
use systemd_unit_syntax::{Fault, Ignored, Line, is_section_name, lines, was_section_name};

const SECTIONS: [&str; 3] = ["Exec", "Files", "Network"];

/// The first systemd that refuses empty names of sections, and those with `*`, `?` or `[`.
const STRICT_SECTIONS: u32 = 262;

/// Returns everything that systemd-nspawn of this version complains about, in order of lines.
///
/// ```
/// use nixos_nspawn_units::verify::nspawn;
///
/// let findings = nspawn(b"[Network]\nPrvate=yes\nPort=tcp:80000\n", 257);
/// let shown: Vec<String> = findings.iter().map(|finding| format!("{}: {finding}", finding.line.unwrap_or(0))).collect();
/// assert_eq!(shown, [
///     "2: [Network] Prvate=: is not known, ignored; did you mean 'Private'?",
///     "3: [Network] Port=: '80000' is not a port (1 to 65535), ignored",
/// ]);
/// ```
pub fn nspawn(bytes: &[u8], systemd: u32) -> Vec<Finding> {
    let mut reading =
        Reading { systemd, section: Current::None, start: None, ports: BTreeSet::new(), found: Vec::new() };
    for (number, line) in lines(bytes) {
        match line.map_err(Stop::Fault).and_then(|line| reading.line(line, number)) {
            Ok(()) => {}
            Err(Stop::Fault(fault)) => {
                reading.found.push(unit::refused(number, fault));
                break;
            }
            Err(Stop::Value) => break,
        }
    }
    reading.found
}

/// Why systemd stops reading.
enum Stop {
    /// A line that is none.
    Fault(Fault),
    /// A value, which has been reported.
    Value,
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// The section in which a line stands.
enum Current {
    /// Before the first header.
    None,
    /// One that systemd passes over.
    Ignored,
    Known(&'static str),
}

/// What runs as the first process, from `Boot=` and `ProcessTwo=`.
#[derive(Clone, Copy, PartialEq)]
enum Start {
    ProcessOne,
    ProcessTwo,
    Boot,
}

struct Reading {
    systemd: u32,
    section: Current,
    start: Option<Start>,
    ports: BTreeSet<(&'static str, u64)>,
    found: Vec<Finding>,
}

impl Reading {
    /// Reads a line; fails where systemd stops.
    fn line(&mut self, line: Line<'_>, number: usize) -> Result<(), Stop> {
        match line {
            Line::Comment(_) => Ok(()),
            Line::Header(name) => self.header(&name, number),
            Line::Other(text) => {
                let section = match self.section {
                    Current::None => {
                        self.found.push(unit::ignored(number, None, Ignored::OutsideSection));
                        return Ok(());
                    }
                    Current::Ignored => return Ok(()),
                    Current::Known(section) => section,
                };
                match Line::assignment(&text) {
                    Ok((key, value)) => self.assignment(section, key, value, number),
                    Err(reason) => {
                        self.found.push(unit::ignored(number, Some(section), reason));
                        Ok(())
                    }
                }
            }
        }
    }

    fn header(&mut self, name: &str, number: usize) -> Result<(), Stop> {
        if !was_section_name(name) || self.systemd >= STRICT_SECTIONS && !is_section_name(name) {
            return Err(Fault::SectionName.into());
        }
        self.section = match SECTIONS.into_iter().find(|known| *known == name) {
            Some(known) => Current::Known(known),
            None => {
                if !name.starts_with("X-") {
                    self.found.push(unit::unknown_section(number, name, &SECTIONS));
                }
                Current::Ignored
            }
        };
        Ok(())
    }

    fn assignment(&mut self, section: &str, key: &str, value: &str, number: usize) -> Result<(), Stop> {
        let place = || Some(Place::Setting(section.to_owned(), key.to_owned()));
        let known = setting(section, key);
        let problems = match known {
            Some(known) if u32::from(known.since) > self.systemd => vec![too_new(known)],
            Some(known) => self.value(known, value),
            None if key.starts_with("X-") => Vec::new(),
            None => vec![unknown(section, key, self.systemd)],
        };
        let mut stops = false;
        for problem in problems {
            stops |= problem.effect == Effect::Refused;
            let consequence =
                if problem.effect == Effect::Ignored { "ignored" } else { "so the container does not start" };
            self.found.push(Finding {
                line: Some(number),
                column: None,
                place: place(),
                reason: format!("{}, {consequence}", problem.reason),
                meant: problem.meant,
                since: problem.since,
                effect: problem.effect,
            });
        }
        if stops { Err(Stop::Value) } else { Ok(()) }
    }

    fn value(&mut self, setting: &Setting, value: &str) -> Vec<Problem> {
        let mut problems = values::check(setting, value, self.systemd);
        if problems.is_empty() {
            let conflict = match setting.key {
                "Boot" => self.start_mode(value, Start::Boot, Start::ProcessTwo),
                "ProcessTwo" => self.start_mode(value, Start::ProcessTwo, Start::Boot),
                "Port" => self.port(value),
                _ => None,
            };
            problems.extend(conflict);
        }
        problems
    }

    /// Applies `Boot=` or `ProcessTwo=`: a `yes` stays against the other's and against its own `no`.
    fn start_mode(&mut self, value: &str, this: Start, other: Start) -> Option<Problem> {
        match (parse_boolean(value)?, self.start) {
            (true, Some(mode)) if mode == other => {}
            (false, Some(mode)) if mode == this => {}
            (true, _) => {
                self.start = Some(this);
                return None;
            }
            (false, _) => {
                self.start.get_or_insert(Start::ProcessOne);
                return None;
            }
        }
        Some(Problem::new("conflicts with an earlier Boot= or ProcessTwo="))
    }

    fn port(&mut self, value: &str) -> Option<Problem> {
        let (protocol, port) = values::port(value, self.systemd).ok()?;
        let first = self.ports.insert((protocol, port));
        (!first).then(|| Problem::new(format!("forwards {protocol} port {port} of the host a second time")))
    }
}

fn too_new(setting: &Setting) -> Problem {
    let since = u32::from(setting.since);
    Problem { since: Some(since), ..Problem::new(format!("is known since version {since} only")) }
}

/// Returns the problem of a setting that is not known in its section.
fn unknown(section: &str, key: &str, systemd: u32) -> Problem {
    let elsewhere = SETTINGS.iter().find(|known| known.key == key).map(|known| known.section);
    if let Some(right) = elsewhere {
        return Problem::new(format!("belongs into [{right}]"));
    }
    let among = |section: Option<&str>| {
        let known = SETTINGS.iter().filter(|known| u32::from(known.since) <= systemd);
        let known = known.filter(|known| section.is_none_or(|section| known.section == section));
        nearest(key, known.map(|known| known.key))
    };
    let meant = among(Some(section)).or_else(|| among(None)).map(str::to_owned);
    Problem { meant, ..Problem::new("is not known") }
}
