//! What has been typed before that which is completed.

use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, CommandFactory};
use clap_complete::engine::CompletionCandidate;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Kind;

use crate::base::host::Host;
use crate::cli::Cli;
use crate::fact::generations::{Generation, generations};
use crate::fact::known_names::known_names;

/// The options that name other hosts, as their fields are called.
const ELSEWHERE: [&str; 2] = ["hosts", "hosts_file"];

/// What has been typed.
#[derive(Clone)]
pub(super) struct Typed {
    /// The directory after `--root`.
    root: PathBuf,
    /// Whether other hosts are meant. What they have is not known here, and to ask them takes too long.
    elsewhere: bool,
    /// The words that are neither the program, the verb, nor options.
    operands: Vec<String>,
}

impl Typed {
    pub(super) fn of(words: &[String]) -> Self {
        let mut typed = Self { root: "/".into(), elsewhere: false, operands: Vec::new() };
        let line = Cli::command();
        let valued: Vec<&Arg> = line
            .get_arguments()
            .chain(line.get_subcommands().flat_map(Command::get_arguments))
            .filter(|one| takes_a_value(one))
            .collect();
        let mut words = words.iter().skip(1);
        while let Some(word) = words.next() {
            if word == "--" {
                typed.operands.extend(words.by_ref().cloned());
            } else if let Some((option, value)) = option(&valued, word) {
                let value = value.or_else(|| words.next().map(String::as_str));
                typed.elsewhere |= ELSEWHERE.contains(&option.get_id().as_str());
                if let Some(value) = value.filter(|_| option.get_id() == "root") {
                    typed.root = value.into();
                }
            } else if !word.starts_with('-') {
                typed.operands.push(word.clone());
            }
        }
        // The verb.
        typed.operands = typed.operands.split_off(1.min(typed.operands.len()));
        typed
    }

    fn host(&self) -> Option<Host> {
        if self.elsewhere {
            return None;
        }
        Host::open_to_read(&self.root, false, Box::new(drop)).ok()
    }

    /// Returns the names that are not typed yet.
    pub(super) fn names(&self, imperative: bool) -> Vec<CompletionCandidate> {
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
    pub(super) fn generations(&self) -> Vec<CompletionCandidate> {
        let known = || {
            let host = self.host()?;
            // Behind several containers, each may have a number.
            let name = self.operands.iter().rev().find(|word| word.parse::<u64>().is_err())?;
            let loaded = host.load_one(&name.parse().ok()?);
            let stored = loaded.intents.first()?;
            generations(&host, &stored.name, &stored.intent).ok()
        };
        let candidate = |one: &Generation| {
            let state = if one.current { Some("current") } else { one.pinned.then_some("pinned") };
            CompletionCandidate::new(one.number.to_string()).help(state.map(Into::into))
        };
        known().unwrap_or_default().iter().rev().map(candidate).collect()
    }
}

/// Whether an option has exactly one value, which may be the next word. More values are taken as operands, since they
/// are names of containers.
fn takes_a_value(option: &Arg) -> bool {
    matches!(option.get_action(), ArgAction::Set | ArgAction::Append)
        && (option.get_long().is_some() || option.get_short().is_some())
        && option.get_num_args().is_none_or(|n| n.min_values() == 1 && n.max_values() == 1)
}

/// Returns the option with a value that a word is, and the value if the word has it.
fn option<'a>(valued: &[&'a Arg], word: &'a str) -> Option<(&'a Arg, Option<&'a str>)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
        let option = valued.iter().find(|one| one.get_long() == Some(name))?;
        return Some((option, value));
    }
    // Letters without a value may be before the one with it.
    let letters = word.strip_prefix('-')?;
    let (at, option) = letters.char_indices().find_map(|(at, letter)| {
        Some((at + letter.len_utf8(), valued.iter().find(|one| one.get_short() == Some(letter))?))
    })?;
    let value = letters.get(at..).filter(|value| !value.is_empty());
    Some((option, value.map(|value| value.strip_prefix('=').unwrap_or(value))))
}
