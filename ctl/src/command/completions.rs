//! `completions SHELL` prints a script that makes the shell ask this program at each completion. Only so can it know
//! names of containers, generations and attributes of flakes. The answer needs neither privileges nor systemd.

mod bash;
mod typed;

use std::ffi::OsStr;
use std::path::Path;

use anyhow::{Result, bail};
use clap::{Command, CommandFactory};
use clap_complete::engine::ValueCompleter;
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate, PathCompleter};
use clap_complete::env::{CompleteEnv, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use self::typed::Typed;
use crate::base::host::Host;
use crate::base::screen::Screen;
use crate::cli::{Cli, Completions};
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
        clap_complete::Shell::Bash => return Ok(bash::script(VARIABLE, &PROGRAMS)),
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
    // These shells pass words as they are typed.
    if std::env::var(VARIABLE).is_ok_and(|shell| ["bash", "zsh"].contains(&shell.as_str())) {
        words = words.into_iter().map(unquoted).collect();
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

/// Returns what a shell makes of a word with quotes; one that it would make several words of stays as it is.
fn unquoted(word: String) -> String {
    let mut parts = shlex::split(&word).unwrap_or_default();
    if parts.len() == 1 { parts.remove(0) } else { word }
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
                    "name" if verb == "shell" => argument.add(ArgValueCompleter::new(UserAtName(typed))),
                    "name" | "names" if verb != "create" => {
                        let imperative = IMPERATIVE.contains(&verb.as_str());
                        argument.add(ArgValueCandidates::new(move || typed.names(imperative)))
                    }
                    "patterns" => argument.add(ArgValueCandidates::new(move || typed.names(false))),
                    "undo" => argument.add(ArgValueCandidates::new(move || typed.names(true))),
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

/// Completes names of containers, also behind a user.
struct UserAtName(Typed);

impl ValueCompleter for UserAtName {
    fn complete(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let text = current.to_string_lossy();
        let (user, begun) = text.split_at(text.rfind('@').map_or(0, |at| at + 1));
        let names = self.0.names(false).into_iter();
        let matching = names.filter(|name| name.get_value().to_string_lossy().starts_with(begun));
        matching.map(|name| if user.is_empty() { name } else { name.add_prefix(user) }).collect()
    }
}
