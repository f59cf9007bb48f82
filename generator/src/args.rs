//! Parses the command line. It is written by hand to keep the program small: the generator runs at every boot, and
//! `systemd.generator(7)` leaves little to parse.

use std::ffi::OsString;
use std::path::PathBuf;

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::Port;

use crate::failure::Failure;

/// The text of `--help`.
pub(crate) const HELP: &str = "\
Usage: nixos-nspawn-generator [--root DIR] NORMAL [EARLY LATE]
       unit-helper [--root DIR] --prepare|--release|--refuse NAME
       unit-helper [--root DIR] --proxy NAME PORT

Generates units below NORMAL from the intents below /etc/nixos-nspawn (systemd.generator(7)).
systemd runs it at boot and at every 'systemctl daemon-reload'.

  --prepare NAME  put a container's settings and directories in place before it starts
  --release NAME  remove a container's settings after it has stopped
  --refuse NAME   print why a container cannot start, and exit with 78
  --proxy NAME PORT  find the address of a container's port before its proxy starts
  --root DIR      work on the tree below DIR
  --version       print the version, and where drop-ins expect the unit helper
  --help          print this help

See nixos-nspawn-generator(8).
";

/// What to do.
pub(crate) enum Mode {
    /// Write units below this directory.
    Generate(PathBuf),
    /// Prepare the container's start ([`crate::prepare`]).
    Prepare(MachineName),
    /// Clean up after the container ([`crate::release`]).
    Release(MachineName),
    /// Refuse the container's start ([`crate::refuse`]).
    Refuse(MachineName),
    /// Find the address for the proxy of a port ([`crate::proxy`]).
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

/// Parses the arguments after the program's name.
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
                let number = number.ok_or_else(|| usage("--proxy needs a port number".to_owned()))?;
                Mode::Proxy(name, Port::try_from(number).map_err(|error| usage(error.to_string()))?)
            }
            "--lock-mounts" => Mode::LockMounts(words.by_ref().map(PathBuf::from).collect()),
            "--version" => Mode::Version,
            "--help" => Mode::Help,
            _ => return Err(usage(format!("unknown option '{option}'"))),
        };
        if mode.replace(chosen).is_some() {
            return Err(usage("only one mode can be given".to_owned()));
        }
    }
    match (mode, directories.len()) {
        (Some(mode), 0) => Ok(Args { root, mode }),
        // The early and late directories are optional, and never written to.
        (None, 1 | 3) => Ok(Args { root, mode: Mode::Generate(directories.swap_remove(0)) }),
        _ => Err(usage("expected one or three directories, or a mode".to_owned())),
    }
}

fn machine(word: OsString) -> Result<MachineName, Failure> {
    word.to_string_lossy().parse().map_err(|error| Failure { status: 2, message: format!("{error}") })
}
