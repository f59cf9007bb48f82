//! `completions SHELL` prints a script that makes the shell ask this program at each completion. Only so can it know
//! names of containers, generations and attributes of flakes. The answer needs neither privileges nor systemd.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{ArgAction, Command, CommandFactory};
use clap_complete::engine::ValueCompleter;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter};
use clap_complete::env::{Bash, CompleteEnv, Elvish, EnvCompleter, Fish, Powershell, Zsh};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Kind;

use crate::base::host::Host;
use crate::base::screen::Screen;
use crate::cli::{Cli, Completions};
use crate::fact::generations::generations;
use crate::fact::known_names::known_names;
use crate::nix::attributes::attributes;

/// The environment variable that asks for candidates; its value is the shell.
const VARIABLE: &str = "NIXOS_NSPAWN_COMPLETE";

/// The names of the program.
const PROGRAMS: [&str; 2] = ["nixos-nspawn", "nixos-nspawn-ctl"];

/// The commands for imperative containers only.
const IMPERATIVE: [&str; 12] = [
    "update",
    "plan",
    "rollback",
    "remove",
    "rename",
    "clone",
    "export",
    "pin",
    "unpin",
    "hold",
    "unhold",
    "delete-generations",
];

/// Runs the command.
pub(crate) fn run(screen: &Screen, arguments: &Completions) -> Result<()> {
    screen.print(&script(arguments.shell)?)
}

/// Returns the script for a shell.
pub(crate) fn script(shell: clap_complete::Shell) -> Result<String> {
    let completer: &dyn EnvCompleter = match shell {
        clap_complete::Shell::Bash => &Bash,
        clap_complete::Shell::Elvish => &Elvish,
        clap_complete::Shell::Fish => &Fish,
        clap_complete::Shell::PowerShell => &Powershell,
        clap_complete::Shell::Zsh => &Zsh,
        other => bail!("completions for {other} are not known"),
    };
    let mut script = Vec::new();
    for program in PROGRAMS {
        completer.write_registration(VARIABLE, program, program, program, &mut script)?;
    }
    let script = String::from_utf8(script)?;
    Ok(if shell == clap_complete::Shell::Zsh { autoloaded(&script) } else { script })
}

/// Makes the script for zsh a file that compinit loads at the first completion, which it then has to answer.
fn autoloaded(script: &str) -> String {
    let lines = script.lines().filter(|line| !line.starts_with("#compdef"));
    let lines: String = lines.flat_map(|line| [line, "\n"]).collect();
    format!(
        "#compdef {}\n{lines}if [ \"$funcstack[1]\" = _nixos-nspawn ]; then\n    \
         _clap_dynamic_completer_nixos_nspawn \"$@\"\nfi\n",
        PROGRAMS.join(" ")
    )
}

/// Prints the candidates if a shell asks for them. Returns whether one did.
pub(crate) fn answer() -> bool {
    let words = std::env::args_os().skip_while(|word| word != "--").skip(1);
    let mut words: Vec<String> = words.map(|word| word.to_string_lossy().into()).collect();
    // What is being completed is not typed yet. In some shells it is the last word.
    let at = std::env::var("_CLAP_COMPLETE_INDEX").ok().and_then(|at| at.parse().ok());
    let at: usize = at.unwrap_or(words.len().saturating_sub(1));
    if at < words.len() {
        words.remove(at);
    }
    let folder = std::env::current_dir().ok();
    let completer = CompleteEnv::with_factory(move || completed(&words)).var(VARIABLE);
    match completer.try_complete(std::env::args_os(), folder.as_deref()) {
        Ok(asked) => asked,
        Err(error) => {
            let _ = error.print();
            true
        }
    }
}

/// Returns the command line with candidates for its arguments.
fn completed(words: &[String]) -> Command {
    let typed = Typed::of(words);
    let mut line = Cli::command();
    let verbs: Vec<String> = line.get_subcommands().map(|verb| verb.get_name().to_owned()).collect();
    for verb in &verbs {
        line = line.mut_subcommand(verb, |command| {
            command.mut_args(|argument| {
                let typed = typed.clone();
                match argument.get_id().as_str() {
                    "name" | "names" if verb != "create" => {
                        let imperative = IMPERATIVE.contains(&verb.as_str());
                        argument.add(ArgValueCandidates::new(move || typed.names(imperative)))
                    }
                    "which" => {
                        let both = move || {
                            typed.generations().into_iter().chain(typed.names(true)).collect::<Vec<_>>()
                        };
                        argument.add(ArgValueCandidates::new(both))
                    }
                    "generation" | "generations" | "from" | "to" => {
                        argument.add(ArgValueCandidates::new(move || typed.generations()))
                    }
                    "flake" => argument.add(ArgValueCompleter::new(FlakeAttributes)),
                    _ => argument,
                }
            })
        });
    }
    line
}

/// What has been typed.
#[derive(Clone)]
struct Typed {
    /// The directory after `--root`.
    root: PathBuf,
    /// The words that are neither the program, the verb, nor options.
    operands: Vec<String>,
}

impl Typed {
    fn of(words: &[String]) -> Self {
        let mut typed = Self { root: "/".into(), operands: Vec::new() };
        let valued: Vec<String> = Cli::command()
            .get_subcommands()
            .flat_map(Command::get_arguments)
            .filter(|one| {
                matches!(one.get_action(), ArgAction::Set)
                    && one.get_num_args().is_none_or(|n| n.min_values() > 0)
            })
            .filter_map(|one| Some(format!("--{}", one.get_long()?)))
            .chain(["--root".to_owned(), "--color".to_owned()])
            .collect();
        let mut words = words.iter().skip(1);
        while let Some(word) = words.next() {
            if let Some(root) = word.strip_prefix("--root=") {
                typed.root = root.into();
            } else if valued.contains(word) {
                let value = words.next().filter(|_| word == "--root");
                typed.root = value.map_or(typed.root, PathBuf::from);
            } else if !word.starts_with('-') {
                typed.operands.push(word.clone());
            }
        }
        // The verb.
        typed.operands = typed.operands.split_off(1.min(typed.operands.len()));
        typed
    }

    fn host(&self) -> Option<Host> {
        Host::open_to_read(&self.root, false, Box::new(drop)).ok()
    }

    /// Returns the names that are not typed yet.
    fn names(&self, imperative: bool) -> Vec<CompletionCandidate> {
        let wanted = |(name, kind): &(MachineName, Kind)| {
            (!imperative || *kind == Kind::Imperative)
                && !self.operands.iter().any(|typed| typed == name.as_str())
        };
        let names = self.host().map(|host| known_names(&host)).unwrap_or_default();
        names
            .iter()
            .filter(|one| wanted(one))
            .map(|(name, _)| CompletionCandidate::new(name.as_str()))
            .collect()
    }

    /// Returns the generations of the container that is typed, the newest first.
    fn generations(&self) -> Vec<CompletionCandidate> {
        let known = || {
            let host = self.host()?;
            // Behind several containers, each may have a number.
            let name = self.operands.iter().rev().find(|word| word.parse::<u64>().is_err())?;
            let loaded = host.load_one(&name.parse().ok()?);
            let stored = loaded.intents.first()?;
            generations(&host, &stored.name, &stored.intent).ok()
        };
        let candidate = |one: &crate::fact::generations::Generation| {
            let state = if one.current { Some("current") } else { one.pinned.then_some("pinned") };
            CompletionCandidate::new(one.number.to_string()).help(state.map(Into::into))
        };
        known().unwrap_or_default().iter().rev().map(candidate).collect()
    }
}

/// Completes folders, and behind `#` the containers of a flake.
struct FlakeAttributes;

impl ValueCompleter for FlakeAttributes {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let text = current.to_string_lossy();
        let Some((reference, begun)) = text.split_once('#') else {
            return PathCompleter::dir().complete(current);
        };
        let names = || {
            let host = Host::open_to_read(Path::new("/"), false, Box::new(drop)).ok()?;
            attributes(&host, reference).ok()
        };
        let matching = |name: &String| name.starts_with(begun);
        let names = names().unwrap_or_default().into_iter().filter(matching);
        names.map(|name| CompletionCandidate::new(format!("{reference}#{name}"))).collect()
    }
}
