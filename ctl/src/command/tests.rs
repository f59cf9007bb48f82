//! Commands in process, on a fake host.

use std::path::Path;

use clap::{CommandFactory, Parser};

use crate::base::remote::FLAGS;
use crate::cli::Cli;
use crate::command::dispatch;
use crate::testing::{Played, ended};

#[test]
fn list_shows_what_is_recorded_and_runs() {
    let played = Played::new();
    played.record();
    let (context, answers, messages, _folder) = played.into_context(false);
    dispatch(&context, &Cli::parse_from(["nixos-nspawn", "list"]).command).unwrap();
    let text = answers.text();
    assert!(text.starts_with("NAME  STATE"), "{text}");
    assert!(text.contains("\nweb   active"), "{text}");
    assert_eq!(messages.text(), "");
}

#[test]
fn update_in_json_says_what_failed() {
    let played = Played::new();
    played.record();
    played.on_call(|words: &[String], _: &Path| {
        (words[0] == "systemctl" && words.get(1).is_some_and(|word| word == "--version"))
            .then(|| ended(0, "systemd 200 (200)\n", ""))
    });
    let (context, answers, _messages, _folder) = played.into_context(true);
    let command = Cli::parse_from(["nixos-nspawn", "update", "web"]).command;
    let error = dispatch(&context, &command).unwrap_err();
    assert!(!format!("{error:#}").is_empty());
    assert_eq!(answers.text(), "", "nothing is answered before the host is checked");
}

/// In `-vH alpha`, the letters before the H must be known to take no value.
#[test]
fn letters_that_may_stand_before_a_host() {
    let cli = Cli::command();
    let all: Vec<&clap::Arg> = std::iter::once(&cli)
        .chain(cli.get_subcommands())
        .flat_map(|command| {
            command.get_arguments().chain(command.get_subcommands().flat_map(|one| one.get_arguments()))
        })
        .collect();
    let mut found = 0;
    for argument in all.iter().filter(|argument| !argument.get_action().takes_values()) {
        if let Some(letter) = argument.get_short() {
            assert!(FLAGS.contains(letter), "-{letter}");
            found += 1;
        }
    }
    assert!(found > 3, "{found}");
}
