//! Commands in process, on a fake host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use clap::{CommandFactory, Parser};

use crate::base::remote::FLAGS;
use crate::cli::Cli;
use crate::command::{dispatch, only_reads};
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

/// A mistake in the administrator's defaults is an error only for commands that change something.
#[test]
fn plan_only_reads() {
    for (line, reads) in
        [("plan web", true), ("list", true), ("doctor", true), ("doctor --fix", false), ("update web", false)]
    {
        let words = std::iter::once("nixos-nspawn").chain(line.split(' '));
        assert_eq!(only_reads(&Cli::parse_from(words).command), reads, "{line}");
    }
}

/// The commands that change nothing of containers or of the host themselves.
const READING: [&str; 17] = [
    "audit",
    "cat",
    "check",
    "completions",
    "diff",
    "ip",
    "list",
    "list-generations",
    "logs",
    "plan",
    "run",
    "shell",
    "show",
    "ssh-host-key",
    "status",
    "verify",
    "help",
];

/// The commands that change something.
const CHANGING: [&str; 23] = [
    "activate",
    "apply",
    "autostart",
    "clone",
    "create",
    "delete-generations",
    "disable",
    "doctor",
    "enable",
    "export",
    "hold",
    "import",
    "pin",
    "remove",
    "rename",
    "restart",
    "rollback",
    "setup",
    "start",
    "stop",
    "unhold",
    "unpin",
    "update",
];

#[test]
fn every_command_that_changes_something_takes_dry_run() {
    let mut cli = Cli::command();
    cli.build();
    let takes = |command: &clap::Command| command.get_arguments().any(|one| one.get_id() == "dry_run");
    for command in cli.get_subcommands() {
        let name = command.get_name();
        assert!(READING.contains(&name) != CHANGING.contains(&name), "{name} is in exactly one list");
        assert_eq!(takes(command), CHANGING.contains(&name), "{name}");
        // What a command has below it is of its kind.
        for below in command.get_subcommands().filter(|one| one.get_name() != "help") {
            assert_eq!(takes(below), CHANGING.contains(&name), "{name} {}", below.get_name());
        }
    }
    assert_eq!(cli.get_subcommands().count(), READING.len() + CHANGING.len());
}

/// Returns a host where the container is stopped, and each daemon-reload links its unit as the generator does.
fn stopped() -> Played {
    let played = Played::new();
    played.record();
    played.stop();
    let wants = played.host.root.join("run/systemd/generator/machines.target.wants");
    fs::create_dir_all(&wants).unwrap();
    let link = wants.join("systemd-nspawn@web.service");
    let intent = played.intent();
    played.on_call(move |words: &[String], _: &Path| {
        if words.get(1).is_some_and(|word| word == "daemon-reload") {
            let off = fs::read_to_string(&intent).unwrap().contains(r#""autostart": false"#);
            let _ = fs::remove_file(&link);
            if !off {
                symlink("/x", &link).unwrap();
            }
        }
        None
    });
    played
}

#[test]
fn enable_and_disable_act_now_if_asked() {
    let played = stopped();
    let (context, answers, messages, _folder) = played.into_context(false);
    let run = |line: &str| dispatch(&context, &Cli::parse_from(line.split(' ')).command);
    let words = [
        ("enable --now --dry-run", "would start with the host, and would be started"),
        (
            "enable --now",
            "still starts with the host, now regardless of its own configuration, and was started",
        ),
        ("enable --now", "already starts with the host, and is running already"),
        ("disable --now --dry-run", "would not start with the host, and would be stopped"),
        ("disable --now", "no longer starts with the host, and was stopped"),
        ("disable --now", "does not start with the host, and is stopped already"),
        ("disable", "does not start with the host, nothing changed"),
    ];
    let mut expected = String::new();
    for (command, said) in words {
        run(&format!("nixos-nspawn {command} web")).unwrap();
        expected += &format!("container 'web' {said}\n");
        assert_eq!(answers.text(), expected, "{command}: {}", messages.text());
    }
}

#[test]
fn a_start_that_fails_is_told_with_the_setting() {
    let played = stopped();
    let masked = played.host.unit_links().join("systemd-nspawn@web.service");
    fs::create_dir_all(masked.parent().unwrap()).unwrap();
    symlink("/dev/null", masked).unwrap();
    let (context, answers, _messages, _folder) = played.into_context(false);
    let command = Cli::parse_from(["nixos-nspawn", "enable", "--now", "web"]).command;
    let error = format!("{:#}", dispatch(&context, &command).unwrap_err());
    let told = "container 'web' still starts with the host, now regardless of its own configuration, but was not \
                started: masked by 'systemctl mask'; 'systemctl unmask systemd-nspawn@web.service' lets it start again";
    assert_eq!((error.as_str(), answers.text().as_str()), (told, ""));
}
