//! Other hosts, by the system's ssh with its configuration and agent.

use std::time::Duration;

use anyhow::Result;

use crate::base::call::Ended;
use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::base::program::{Program, ended};
use crate::base::remote::{Rights, Target, Version, line, too_old, version, version_line};

/// Options for every call: a host that does not answer, or no longer does, is an error instead of silence.
const PATIENCE: [&str; 4] =
    ["-oConnectTimeout=10", "-oServerAliveInterval=15", "-oServerAliveCountMax=4", "-oLogLevel=ERROR"];

/// The exit status of ssh itself, as opposed to that of the command there.
pub(crate) const NO_CONNECTION: i32 = 255;

/// How long the question for the version may take.
const VERSION: Duration = Duration::from_secs(60);

/// Returns options for ssh. `asks` allows questions, on a terminal.
pub(crate) fn options(target: &Target, asks: bool) -> Vec<String> {
    let mut words: Vec<String> = PATIENCE.iter().map(|option| (*option).to_owned()).collect();
    words.extend((!asks).then(|| "-oBatchMode=yes".to_owned()));
    words.extend(target.port.map(|port| format!("-p{port}")));
    words
}

/// Returns the words of a call of ssh, without the program.
pub(crate) fn words(target: &Target, terminal: bool, asks: bool, line: &str) -> Vec<String> {
    let mut words = options(target, asks);
    words.extend(terminal.then(|| "-t".to_owned()));
    words.extend(["--".to_owned(), target.destination.clone(), line.to_owned()]);
    words
}

/// Returns a call of the program there.
pub(crate) fn call<'a>(
    host: &'a Host,
    target: &Target,
    given: &[String],
    rights: Rights,
    asks: bool,
) -> Program<'a> {
    let program = host.program("ssh").args(words(target, false, asks, &line(given, rights)));
    if asks { program.may_ask() } else { program }
}

/// Returns a call that asks the program there for its version.
pub(crate) fn question<'a>(host: &'a Host, target: &Target, asks: bool) -> Program<'a> {
    let program = host.program("ssh").args(words(target, false, asks, &version_line())).limit(VERSION);
    if asks { program.may_ask() } else { program }
}

/// Fails if the program there is missing, or older than this one.
pub(crate) fn check(target: &Target, answer: Result<Ended>) -> Result<()> {
    let Ended { status, stdout, stderr } =
        answer.map_err(|error| error.context(format!("{target}: cannot be asked")))?;
    match status.code() {
        Some(NO_CONNECTION) => return Err(unreachable(target, &stderr).into()),
        Some(127) => {
            return unchanged(
                format!("{target}: nixos-nspawn is not installed there, nothing was changed"),
                "install the same version there",
            );
        }
        _ => {}
    }
    let Some(theirs) = version(&stdout).filter(|_| status.success()) else {
        let said = stderr.trim().replace('\n', " | ");
        let message = format!("{target}: 'nixos-nspawn --version' failed there: {}: {said}", ended(status));
        return Err(Failed::Program(message).into());
    };
    match too_old(own(), theirs) {
        Some(why) => unchanged(format!("{target}: {why}, nothing was changed"), "update it there first"),
        None => Ok(()),
    }
}

/// Returns the failure of a connection, with what ssh says.
pub(crate) fn unreachable(target: &Target, stderr: &str) -> Failed {
    let said: Vec<&str> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Failed::Program(format!("{target}: cannot be reached: {}", said.join(" | ")))
}

/// Returns the version of this program.
fn own() -> Version {
    let number = |text: &str| text.parse().unwrap_or(0);
    (
        number(env!("CARGO_PKG_VERSION_MAJOR")),
        number(env!("CARGO_PKG_VERSION_MINOR")),
        number(env!("CARGO_PKG_VERSION_PATCH")),
    )
}
