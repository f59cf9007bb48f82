//! The timer that updates all containers. `setup` installs it, or only enables the units of a package.

use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::host::files::{remove_file, which, write_file};

/// The service as packaged.
const SERVICE: &str = include_str!("../../../systemd/nixos-nspawn-update.service");

/// The timer as packaged.
const TIMER: &str = include_str!("../../../systemd/nixos-nspawn-update.timer");

/// The unit that `setup` enables.
pub(crate) const TIMER_UNIT: &str = "nixos-nspawn-update.timer";

/// The units that `setup` installs.
const UNITS: [&str; 2] = ["nixos-nspawn-update.service", TIMER_UNIT];

/// The first words of a file that we installed.
const MARK: &str = "# Installed by nixos-nspawn";

/// The default time of updates.
const DEFAULT: &str = "*-*-* 04:00";

/// Refuses a calendar event that systemd cannot parse (`systemd.time(7)`), and units of these names that we did
/// not install.
pub(crate) fn check(host: &Host, calendar: Option<&str>) -> Result<()> {
    let understood = |calendar: &str| {
        !calendar.contains(['\n', '%'])
            && host.program("systemd-analyze").args(["calendar", calendar]).output().is_ok()
    };
    if let Some(calendar) = calendar.filter(|calendar| !understood(calendar)) {
        let message = format!("--auto-update: '{calendar}' is not a calendar event such as 'Mon 04:00'");
        return Err(Failed::Usage(message + ", see systemd.time(7)").into());
    }
    for unit in UNITS {
        let path = host.unit_links().join(unit);
        if fs::read_to_string(&path).is_ok_and(|text| !text.starts_with(MARK)) {
            return unchanged(format!("{}: is not ours", path.display()), "remove it, or enable it yourself");
        }
    }
    Ok(())
}

/// Installs the units and starts the timer.
pub(crate) fn install(host: &Host, calendar: Option<&str>) -> Result<()> {
    let program = which("nixos-nspawn", &[]).or_else(|| std::env::current_exe().ok());
    let program = program.as_deref().and_then(Path::to_str).unwrap_or("nixos-nspawn");
    for (unit, text) in UNITS.into_iter().zip(texts(program, calendar)) {
        write_file(&host.unit_links().join(unit), text.as_bytes(), 0o644)?;
    }
    host.manager("systemctl").arg("daemon-reload").output()?;
    // A running timer keeps its old time until it is restarted.
    host.manager("systemctl").args(["enable", TIMER_UNIT]).output()?;
    host.manager("systemctl").args(["restart", TIMER_UNIT]).output().map(|_| ())
}

/// Returns whether the units that `setup` installs exist.
pub(crate) fn installed(host: &Host) -> bool {
    let path = host.unit_links().join(TIMER_UNIT);
    fs::read_to_string(path).is_ok_and(|text| text.starts_with(MARK))
}

/// Stops the timer and removes the units.
pub(crate) fn remove(host: &Host) -> Result<()> {
    host.manager("systemctl").args(["disable", "--now", TIMER_UNIT]).output()?;
    UNITS.iter().try_for_each(|unit| remove_file(&host.unit_links().join(unit)))?;
    host.manager("systemctl").arg("daemon-reload").output().map(|_| ())
}

/// Returns the service and the timer for this program and time.
fn texts(program: &str, calendar: Option<&str>) -> [String; 2] {
    let program = program.replace('%', "%%");
    [
        SERVICE.replace("ExecStart=nixos-nspawn ", &format!("ExecStart={program} ")),
        TIMER.replace(DEFAULT, calendar.unwrap_or(DEFAULT)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn program_and_time_are_filled_in() {
        let [service, timer] = texts("/usr/local/bin/nixos-nspawn", Some("Mon 05:00"));
        assert!(service.contains("\nExecStart=/usr/local/bin/nixos-nspawn update --all\n"), "{service}");
        assert!(timer.contains("\nOnCalendar=Mon 05:00\n") && !timer.contains("04:00"), "{timer}");
        assert_eq!(texts("nixos-nspawn", None), [SERVICE, TIMER]);
        assert!(SERVICE.starts_with(MARK) && TIMER.starts_with(MARK));
    }
}
