//! The command line: words go in, what to do comes out. Small by hand: the generator runs in every boot, and the
//! convention of `systemd.generator(7)` leaves little to parse.

use std::ffi::OsString;
use std::path::PathBuf;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::Port;

use crate::Failure;

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: nixos-nspawn-generator [--root DIR] NORMAL [EARLY LATE]
       unit-helper [--root DIR] --prepare|--release|--refuse NAME
       unit-helper [--root DIR] --proxy NAME PORT

Turns the intent below /etc/nixos-nspawn into units below NORMAL, as systemd.generator(7)
has it. systemd runs it at boot and at every 'systemctl daemon-reload'.

  --prepare NAME  before a container starts: put its settings and directories in place
  --release NAME  after it stopped: take the settings away
  --refuse NAME   say why a container cannot start, exit with 78
  --proxy NAME PORT  before a proxy starts: find the address behind which the
                  container's port is
  --root DIR      work on the tree below DIR
  --version       print the version, and where drop-ins expect the unit helper
  --help          print this

See nixos-nspawn-generator(8).
";

/// What to do.
pub(crate) enum Mode {
    /// Write units below this directory.
    Generate(PathBuf),
    /// See [`crate::prepare`].
    Prepare(MachineName),
    /// See [`crate::release`].
    Release(MachineName),
    /// See [`crate::refuse`].
    Refuse(MachineName),
    /// See [`crate::proxy`].
    Proxy(MachineName, Port),
    /// See [`crate::locked`]; called by `--prepare` alone.
    LockMounts(Vec<PathBuf>),
    /// Print the version.
    Version,
    /// Print the help.
    Help,
}

/// The parsed command line.
pub(crate) struct Args {
    /// The tree to work on.
    pub(crate) root: PathBuf,
    /// What to do there.
    pub(crate) mode: Mode,
}

/// Parses the words behind the program's name.
pub(crate) fn parse(words: impl Iterator<Item = OsString>) -> Result<Args, Failure> {
    let usage = |problem: String| Failure { status: 2, message: format!("{problem}, see --help") };
    let mut root = PathBuf::from("/");
    let mut mode = None;
    let mut directories = Vec::new();
    let mut words = words;
    while let Some(word) = words.next() {
        let Some(option) = word.to_str().filter(|text| text.starts_with("--")) else {
            directories.push(PathBuf::from(word));
            continue;
        };
        let (option, value) = match option.split_once('=') {
            Some((option, value)) => (option.to_owned(), Some(OsString::from(value))),
            None => (option.to_owned(), None),
        };
        let value = |words: &mut dyn Iterator<Item = OsString>| {
            value.or_else(|| words.next()).ok_or_else(|| usage(format!("{option} needs a value")))
        };
        let chosen = match option.as_str() {
            "--root" => {
                root = PathBuf::from(value(&mut words)?);
                continue;
            }
            "--prepare" => Mode::Prepare(machine(value(&mut words)?)?),
            "--release" => Mode::Release(machine(value(&mut words)?)?),
            "--refuse" => Mode::Refuse(machine(value(&mut words)?)?),
            "--proxy" => {
                let name = machine(value(&mut words)?)?;
                let port = words.next().ok_or_else(|| usage("--proxy needs a port".to_owned()))?;
                let number = port.to_str().and_then(|text| text.parse::<i64>().ok());
                let number = number.ok_or_else(|| usage("--proxy needs the number of a port".to_owned()))?;
                Mode::Proxy(name, Port::try_from(number).map_err(|error| usage(error.to_string()))?)
            }
            "--lock-mounts" => Mode::LockMounts(words.by_ref().map(PathBuf::from).collect()),
            "--version" => Mode::Version,
            "--help" => Mode::Help,
            _ => return Err(usage(format!("unknown option '{option}'"))),
        };
        if mode.replace(chosen).is_some() {
            return Err(usage("one mode at a time".to_owned()));
        }
    }
    match (mode, directories.len()) {
        (Some(mode), 0) => Ok(Args { root, mode }),
        // One directory serves for all three; the others are left alone in any case.
        (None, 1 | 3) => Ok(Args { root, mode: Mode::Generate(directories.swap_remove(0)) }),
        _ => Err(usage("expected one or three directories, or a mode".to_owned())),
    }
}

fn machine(word: OsString) -> Result<MachineName, Failure> {
    word.to_string_lossy().parse().map_err(|error| Failure { status: 2, message: format!("{error}") })
}
