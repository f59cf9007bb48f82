//! Hints for commands that users expect here but that belong to systemd or have another name. Only the command to use
//! is printed; nothing is run in its place.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use nixos_nspawn_units::name::MachineName;

/// Returns a hint for a command line that clap rejected, if there is a better one than clap's.
pub(crate) fn hint(error: &clap::Error, arguments: impl Iterator<Item = OsString>) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand {
        return None;
    }
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    // The next word is most likely the container's name; it is repeated only if it is a valid one.
    let mut behind = arguments.skip_while(|argument| argument.to_str() != Some(word)).skip(1);
    let name = behind.find_map(|argument| argument.to_str()?.parse::<MachineName>().ok());
    let name = name.map_or_else(|| "NAME".to_owned(), |name| name.to_string());
    if matches!(word.as_str(), "edit" | "config" | "configure") {
        // What it is made of belongs to its source, and generated files are not edited.
        return Some(format!(
            "there is no command '{word}'; edit the source that 'nixos-nspawn show {name}' names and run 'nixos-nspawn \
             update {name}', or set an option on this host with 'nixos-nspawn update {name} --set OPTION=VALUE'"
        ));
    }
    let instead = instead(word, &name)?;
    Some(format!("there is no command '{word}'; use '{instead}'"))
}

fn instead(word: &str, name: &str) -> Option<String> {
    let unit = format!("systemd-nspawn@{name}");
    Some(match word {
        "reload" => format!("systemctl reload {unit}"),
        "set" | "set-property" => format!("nixos-nspawn update {name} --set OPTION=VALUE"),
        "mask" | "unmask" | "try-restart" | "reload-or-restart" | "is-active" | "is-enabled" => {
            format!("systemctl {word} {unit}")
        }
        "daemon-reload" => "systemctl daemon-reload".to_owned(),
        "up" => format!("nixos-nspawn start {name}"),
        "down" | "halt" | "shutdown" => format!("nixos-nspawn stop {name}"),
        "reboot" | "poweroff" | "terminate" => format!("machinectl {word} {name}"),
        "kill" => format!("machinectl terminate {name}"),
        "login" | "root-login" | "enter" | "attach" => format!("nixos-nspawn shell {name}"),
        "add" | "new" => format!("nixos-nspawn create {name} --flake REF"),
        "build" => format!("nixos-nspawn plan {name}"),
        "deploy" => "nixos-nspawn apply".to_owned(),
        "copy" | "cp" => format!("nixos-nspawn clone {name} COPY"),
        "move" | "mv" => format!("nixos-nspawn rename {name} NEW"),
        "copy-to" | "copy-from" | "bind" => format!("machinectl {word} {name}"),
        "backup" => format!("nixos-nspawn export {name}"),
        "restore" => "nixos-nspawn import archive FILE".to_owned(),
        "history" => format!("nixos-nspawn list-generations {name}"),
        "undo" => format!("nixos-nspawn rollback {name}"),
        "gc" | "prune" => format!("nixos-nspawn delete-generations {name} old"),
        "lint" | "validate" => "nixos-nspawn verify".to_owned(),
        "security" => format!("nixos-nspawn audit {name}"),
        "auto-update" => "nixos-nspawn setup --auto-update".to_owned(),
        "top" => "systemd-cgtop machine.slice".to_owned(),
        "exec" => format!("nixos-nspawn run {name} -- COMMAND"),
        "log" | "journal" => format!("nixos-nspawn logs {name}"),
        "show-ip" => format!("nixos-nspawn ip {name}"),
        "show-host-key" => format!("nixos-nspawn ssh-host-key {name}"),
        "ls" | "ps" => "nixos-nspawn list".to_owned(),
        "info" | "inspect" => format!("nixos-nspawn show {name}"),
        "destroy" | "delete" | "rm" => format!("nixos-nspawn remove {name}"),
        "generations" => format!("nixos-nspawn list-generations {name}"),
        "switch" | "upgrade" => format!("nixos-nspawn update {name}"),
        "install" => "nixos-nspawn setup".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::cli::Cli;

    fn said(line: &str) -> Option<String> {
        let words = || line.split(' ').map(OsString::from);
        hint(&Cli::try_parse_from(words()).unwrap_err(), words())
    }

    #[test]
    fn commands_that_systemd_has() {
        let reload = "there is no command 'reload'; use 'systemctl reload systemd-nspawn@web'";
        assert_eq!(said("nixos-nspawn reload web").as_deref(), Some(reload));
        assert_eq!(said("nixos-nspawn -v reload --now web").as_deref(), Some(reload));
        let nameless = "there is no command 'journal'; use 'nixos-nspawn logs NAME'";
        assert_eq!(said("nixos-nspawn journal").as_deref(), Some(nameless));
        assert_eq!(said("nixos-nspawn journal -f 'x;y'").as_deref(), Some(nameless));
        let edit = said("nixos-nspawn edit web").unwrap();
        assert!(
            edit.contains("'nixos-nspawn show web'") && edit.contains("'nixos-nspawn update web --set"),
            "{edit}"
        );
        // clap's own suggestion is better.
        assert_eq!(said("nixos-nspawn statsu web"), None);
        assert_eq!(said("nixos-nspawn show"), None);
    }

    #[test]
    fn missing_arguments_are_named_together() {
        let said = |line: &str| Cli::try_parse_from(line.split(' ')).unwrap_err().to_string();
        let create = said("nixos-nspawn create web");
        assert!(create.contains("<--flake <REF[#ATTR]>|--config <FILE>|--profile <PATH>>"), "{create}");
        assert!(said("nixos-nspawn create web --flake . --config a").contains("cannot be used with"));
        for command in ["update", "plan"] {
            let update = said(&format!("nixos-nspawn {command}"));
            assert!(update.contains("<NAME|--all>"), "{update}");
            assert!(said(&format!("nixos-nspawn {command} web --all")).contains("cannot be used with"));
        }
        let number = said("nixos-nspawn diff web one");
        assert!(number.contains("'one' for '[N]': not the number of a generation"), "{number}");
    }

    #[test]
    fn hints_are_not_commands_of_ours() {
        for command in Cli::command().get_subcommands() {
            assert_eq!(instead(command.get_name(), "web"), None, "{}", command.get_name());
        }
    }
}
