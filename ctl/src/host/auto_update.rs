//! The timer that updates all containers. `setup` installs it, or only enables the units of a package.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::host::files::{remove_file, which, write_file};
use crate::host::setup_file::{Owner, marked, owner, refuse_others};
use crate::host::trusted::open_to_others;

/// The service as packaged.
const SERVICE: &str = include_str!("../../../systemd/nixos-nspawn-update.service");

/// The timer as packaged.
const TIMER: &str = include_str!("../../../systemd/nixos-nspawn-update.timer");

/// The unit that `setup` enables.
pub(crate) const TIMER_UNIT: &str = "nixos-nspawn-update.timer";

/// The units that `setup` installs.
const UNITS: [&str; 2] = ["nixos-nspawn-update.service", TIMER_UNIT];

/// The drop-in with the time for a package's timer, below the directory of links.
const DROP_IN: &str = "nixos-nspawn-update.timer.d/10-nixos-nspawn.conf";

/// How long systemd-analyze may take.
const LIMIT: Duration = Duration::from_secs(5);

/// The default time of updates.
const DEFAULT: &str = "*-*-* 04:00";

/// Refuses a calendar event that systemd cannot parse (`systemd.time(7)`), units of these names that we did not
/// install, and a program that others than root can replace.
pub(crate) fn check(host: &Host, calendar: Option<&str>) -> Result<()> {
    let understood = |calendar: &str| {
        !calendar.contains(['\n', '%'])
            && host
                .program("systemd-analyze")
                .args(["calendar", "--", calendar])
                .limit(LIMIT)
                .output()
                .is_ok()
    };
    if let Some(calendar) = calendar.filter(|calendar| !understood(calendar)) {
        let message = format!("--auto-update: '{calendar}' is not a calendar event such as 'Mon 04:00'");
        return Err(Failed::Usage(message + ", see systemd.time(7)").into());
    }
    for unit in UNITS.into_iter().chain([DROP_IN]) {
        refuse_others(&host.unit_links().join(unit), "remove it, or enable the timer with systemctl")?;
    }
    let Some(program) = program().filter(|_| !packaged(host)) else { return Ok(()) };
    let shown = program.display();
    match open_to_others(&program, host.scope.owner) {
        Ok(None) => Ok(()),
        Ok(Some(open)) => unchanged(
            format!("{shown}: others than root can replace it, by {}", open.display()),
            "let root own each directory above it and nobody else write to them, or install it in /usr/local/bin",
        ),
        Err(error) => unchanged(format!("{shown}: cannot be checked: {error}"), ""),
    }
}

/// Returns the program that the timer is to run.
fn program() -> Option<PathBuf> {
    which("nixos-nspawn", &[]).or_else(|| std::env::current_exe().ok())
}

/// Returns whether a package has installed the units.
fn packaged(host: &Host) -> bool {
    let whole = |folder: &&str| UNITS.iter().all(|unit| host.directory(folder).join(unit).is_file());
    host.scope.packaged_units.iter().any(whole)
}

/// Installs the units, unless a package has, and starts the timer.
pub(crate) fn install(host: &Host, calendar: Option<&str>) -> Result<()> {
    let (links, drop_in) = (host.unit_links(), host.unit_links().join(DROP_IN));
    if packaged(host) {
        // Units of an earlier setup would hide those of the package.
        UNITS.iter().try_for_each(|unit| remove_file(&links.join(unit)))?;
        fs::create_dir_all(links.join(format!("{TIMER_UNIT}.d")))?;
        write_file(&drop_in, time(calendar).as_bytes(), 0o644)?;
    } else {
        let program = program();
        let program = program.as_deref().and_then(Path::to_str).unwrap_or("nixos-nspawn");
        for (unit, text) in UNITS.into_iter().zip(texts(program, calendar)) {
            write_file(&links.join(unit), text.as_bytes(), 0o644)?;
        }
        remove_file(&drop_in)?;
    }
    host.manager("systemctl").arg("daemon-reload").output()?;
    // A running timer keeps its old time until it is restarted.
    host.manager("systemctl").args(["enable", TIMER_UNIT]).output()?;
    host.manager("systemctl").args(["restart", TIMER_UNIT]).output().map(|_| ())
}

/// Returns whether `setup` has installed the timer, or the time of a package's.
pub(crate) fn installed(host: &Host) -> Result<bool> {
    let ours = |file: &str| owner(&host.unit_links().join(file)).map(|owner| owner == Owner::Setup);
    Ok(ours(TIMER_UNIT)? || ours(DROP_IN)?)
}

/// Stops the timer, and removes the files that `setup` has written.
pub(crate) fn remove(host: &Host) -> Result<()> {
    host.manager("systemctl").args(["disable", "--now", TIMER_UNIT]).output()?;
    for file in UNITS.into_iter().chain([DROP_IN]) {
        let path = host.unit_links().join(file);
        if owner(&path)? == Owner::Setup {
            remove_file(&path)?;
        }
    }
    // Others may have files of their own there.
    let _ = fs::remove_dir(host.unit_links().join(format!("{TIMER_UNIT}.d")));
    host.manager("systemctl").arg("daemon-reload").output().map(|_| ())
}

/// Returns the service and the timer for this program and time.
fn texts(program: &str, calendar: Option<&str>) -> [String; 2] {
    let program = quoted(&program.replace('%', "%%"));
    [
        marked(&SERVICE.replace("ExecStart=nixos-nspawn ", &format!("ExecStart={program} "))),
        marked(&TIMER.replace(DEFAULT, calendar.unwrap_or(DEFAULT))),
    ]
}

/// Returns the drop-in for the timer of a package.
fn time(calendar: Option<&str>) -> String {
    let calendar = calendar.unwrap_or(DEFAULT);
    marked(&format!("[Timer]\nOnCalendar=\nOnCalendar={calendar}\n"))
}

/// Quotes a word of a command line where that is needed (`systemd.syntax(7)`).
fn quoted(word: &str) -> String {
    if word.chars().all(|c| c.is_ascii_alphanumeric() || "/._+-%@:~".contains(c)) {
        return word.to_owned();
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_and_time_are_filled_in() {
        let [service, timer] = texts("/usr/local/bin/nixos-nspawn", Some("Mon 05:00"));
        assert!(service.contains("\nExecStart=/usr/local/bin/nixos-nspawn update --all\n"), "{service}");
        assert!(timer.contains("\nOnCalendar=Mon 05:00\n") && !timer.contains("04:00"), "{timer}");
        let [service, _] = texts("/opt/my \"tools\"/100%", None);
        let line = r#"ExecStart="/opt/my \"tools\"/100%%" update --all"#;
        assert!(service.lines().any(|found| found == line), "{service}");
        let drop_in = time(Some("weekly"));
        assert!(drop_in.ends_with("\n[Timer]\nOnCalendar=\nOnCalendar=weekly\n"), "{drop_in}");
        assert_eq!(texts("nixos-nspawn", None), [SERVICE, TIMER].map(marked));
    }
}
