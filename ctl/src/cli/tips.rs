//! Tips for options and words that a command does not take. clap's own tips lead astray: it offers whatever option looks
//! a little similar, and a way to give an option to Nix that Nix does not have either.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};
use nixos_nspawn_units::intent::nearest;

use crate::cli::foreign_options::{OF_NIX, instead};

/// Replaces clap's tips where they mislead. `line` is the whole command line.
pub(crate) fn better(mut error: Error, cli: &mut Command, line: &[String]) -> Error {
    match error.kind() {
        ErrorKind::UnknownArgument => {}
        ErrorKind::InvalidSubcommand => {
            keep_near(&mut error, ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand);
            return error;
        }
        ErrorKind::InvalidValue => return other_value(error),
        _ => return error,
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return error };
    let word = word.clone();
    cli.build();
    let Some(at) = line.iter().position(|word| cli.find_subcommand(word).is_some()) else { return error };
    let before = line[..at].iter().any(|one| one.split('=').next() == Some(&word));
    if before {
        // clap names the command that takes the option.
        return error;
    }
    let Some(verb) = cli.find_subcommand_mut(&line[at]) else { return error };
    let near = keep_near(&mut error, ContextKind::InvalidArg, ContextKind::SuggestedArg);
    let has_nix_args = verb.get_arguments().any(|one| one.get_id() == "nix_args");
    let name = line[at + 1..].iter().find(|word| !word.starts_with('-')).map_or("NAME", String::as_str);
    let tip = instead(verb, name, &word).or_else(|| match (near, has_nix_args) {
        (_, true) if OF_NIX.contains(&word.as_str()) => {
            Some(format!("'{word}' is an option of Nix; those stand behind '--', as in '-- {word}'"))
        }
        (true, _) => None,
        (false, nix) => similar(verb, &word).or_else(|| {
            (nix && word.starts_with('-')).then(|| "options of Nix stand behind '--'".to_owned())
        }),
    });
    if !near {
        error.insert(ContextKind::Usage, ContextValue::StyledStr(verb.render_usage()));
    }
    if tip.is_some() {
        error.remove(ContextKind::SuggestedArg);
    }
    match tip {
        Some(tip) => {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(tip)]))
        }
        None => error.remove(ContextKind::Suggested),
    };
    error
}

/// Replaces clap's tip for a value: it offers whatever is a little similar, such as `unknown` for `running`. All possible
/// values are listed anyway.
fn other_value(mut error: Error) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        _ => String::new(),
    };
    let meant = match text(ContextKind::InvalidValue).as_str() {
        "running" => Some("active"),
        "stopped" => Some("inactive"),
        _ => None,
    };
    let meant = meant.filter(|_| text(ContextKind::InvalidArg).starts_with("--state "));
    error.remove(ContextKind::SuggestedValue);
    if let Some(meant) = meant {
        let tip = StyledStr::from(format!("use '--state {meant}'"));
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip]));
    }
    error
}

/// Removes suggestions that are too far from what was given. Returns whether one is left.
fn keep_near(error: &mut Error, given: ContextKind, suggested: ContextKind) -> bool {
    let text = |value: &ContextValue| match value {
        ContextValue::String(text) => vec![text.clone()],
        ContextValue::Strings(all) => all.clone(),
        _ => Vec::new(),
    };
    let all = error.get(suggested).map(text).unwrap_or_default();
    let given = error.get(given).map(text).unwrap_or_default().pop().unwrap_or_default();
    let given = given.trim_start_matches('-');
    let near = nearest(given, all.iter().map(|one| one.trim_start_matches('-'))).map(str::to_owned);
    match near.and_then(|near| all.into_iter().find(|one| one.trim_start_matches('-') == near)) {
        Some(near) if matches!(error.get(suggested), Some(ContextValue::Strings(_))) => {
            error.insert(suggested, ContextValue::Strings(vec![near]));
            true
        }
        Some(_) => true,
        None => {
            error.remove(suggested);
            false
        }
    }
}

/// Returns the option that was meant where clap finds none: with two letters exchanged, or cut short.
fn similar(command: &Command, word: &str) -> Option<String> {
    let given = word.strip_prefix("--")?;
    let options = || command.get_arguments().filter_map(clap::Arg::get_long);
    let mut longer = options().filter(|option| given.len() > 2 && option.starts_with(given));
    let only = longer.next().filter(|_| longer.next().is_none());
    let meant = only.or_else(|| nearest(given, options()))?;
    Some(format!("a similar argument exists: '--{meant}'"))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    /// Returns the tips for a command line, in one line.
    fn tips(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let error = Cli::try_parse_from(&words).unwrap_err();
        let text = better(error, &mut Cli::command(), &words).to_string();
        let tips = text.lines().filter_map(|line| line.trim().strip_prefix("tip: "));
        tips.collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn options_that_other_programs_have() {
        for (line, tip) in [
            ("create web --flaek .", "a similar argument exists: '--flake'"),
            (
                "update web --impure",
                "'--impure' is an option of Nix; those stand behind '--', as in '-- --impure'",
            ),
            ("enable --nwo web", "a similar argument exists: '--now'"),
            ("update web --dry", "a similar argument exists: '--dry-run'"),
            ("create web --frobnicate", "options of Nix stand behind '--'"),
            ("start --frobnicate web", ""),
            ("list --foo", ""),
            ("list --al", ""),
            ("--port 80 create web --flake .", "'create --port' exists"),
            ("list -a", "leave out '-a': 'list' shows stopped containers as well"),
            ("list --running", "use '--state active'"),
            ("list --name web", "use 'list web'"),
            ("list --name=web", "use 'list NAME'"),
            ("list --state running", "use '--state active'"),
            ("list --state failed,stopped", "use '--state inactive'"),
            ("list --state foo", ""),
            ("list --sort running", ""),
            ("completions tcsh", ""),
            ("remove -f web", "leave out '-f': nothing is asked"),
            ("remove web --purge", "use '--delete-state'"),
            ("rollback web --generation 3", "use '--to'"),
            ("rollback web 3", "use '--to 3'"),
            ("run web ls", "put the command behind '--': 'nixos-nspawn run web -- ls'"),
            ("shell web -- ls", "use 'nixos-nspawn run web -- ls'"),
            ("logs web nginx", "use '--unit nginx'"),
            ("logs web -e", "'journalctl -M web' takes all options of journalctl(1)"),
            ("stop --all", "name the containers: 'nixos-nspawn stop $(nixos-nspawn list --quiet)'"),
            ("start --now web", "leave out '--now': 'start' acts at once"),
            ("remove -n web", "use '--dry-run'"),
            ("show -n web", ""),
            ("create web --flake . --network-zone lab", "use '--zone'"),
            ("create web --flake . -p 80", "use '--port'"),
            (
                "create web --flake . --host-address 10.0.0.1",
                "addresses are options of the container: 'hostNetworkConfig' and 'containerNetworkConfig'",
            ),
            ("statsu web", "a similar subcommand exists: 'status'"),
            ("foo web", ""),
            ("xdit web", ""),
        ] {
            assert_eq!(tips(&format!("nixos-nspawn {line}")), tip, "{line}");
        }
    }

    #[test]
    fn possible_values_are_listed() {
        let words = ["nixos-nspawn", "completions", "tcsh"].map(str::to_owned);
        let error = Cli::try_parse_from(&words).unwrap_err();
        let text = better(error, &mut Cli::command(), &words).to_string();
        assert!(text.contains("invalid value 'tcsh'") && text.contains("fish"), "{text}");
    }

    /// Fails if a line of the help of a command, or of one of its own, is wider than the terminal.
    fn fits(command: &Command, width: usize) {
        let mut shown = command.clone().term_width(width);
        for text in [shown.render_help(), shown.render_long_help(), shown.render_usage()] {
            let text = text.to_string();
            let is_long = |line: &&str| line.chars().count() > width;
            let long: Vec<&str> = text.lines().filter(is_long).collect();
            assert!(long.is_empty(), "{} at {width} columns: {long:#?}", shown.get_name());
        }
        command.get_subcommands().for_each(|inner| fits(inner, width));
    }

    #[test]
    fn help_fits_the_terminal() {
        let mut cli = Cli::command();
        cli.build();
        fits(&cli, 80);
        fits(&cli, 100);
    }

    #[test]
    fn no_tip_names_what_exists_already() {
        let mut cli = Cli::command();
        cli.build();
        for command in cli.get_subcommands() {
            for option in command.get_arguments().filter_map(|one| one.get_long()) {
                let word = format!("--{option}");
                assert!(!OF_NIX.contains(&word.as_str()) || option == "refresh", "{word}");
            }
        }
    }
}
