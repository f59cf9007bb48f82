//! The commands of systemd that the words `start`, `shell`, `logs` and so on stand for. Pure.

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;

/// A word, with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// `systemctl VERB` for the units of containers.
    Units {
        /// The verb of systemctl.
        verb: &'static str,
        /// The containers.
        names: Vec<MachineName>,
    },
    /// A shell inside, for a user other than root if there is one.
    Shell {
        /// The container.
        name: MachineName,
        /// The user inside.
        user: Option<String>,
    },
    /// A command inside.
    Run {
        /// The container.
        name: MachineName,
        /// The command and its arguments.
        command: Vec<String>,
    },
    /// Messages.
    Logs {
        /// The container.
        name: MachineName,
        /// Whose messages.
        of: LogsOf,
        /// Whether to wait for new ones.
        follow: bool,
        /// How many of the last ones, if not all.
        lines: Option<u32>,
        /// Whether they are printed as JSON.
        json: bool,
    },
    /// The public SSH host keys inside.
    SshHostKey {
        /// The container.
        name: MachineName,
    },
}

/// Whose messages are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LogsOf {
    /// Those of the container's unit on the host.
    Host,
    /// Those inside, of one unit or of all.
    Inside(Option<String>),
}

/// Where NixOS and other systems have their programs. The manager inside knows only the latter. Before systemd 258, each
/// needs a property of its own.
const SEARCH_PATH: [&str; 4] = ["/run/wrappers/bin", "/run/current-system/sw/bin", "/usr/bin", "/bin"];

/// Returns the program and its arguments.
pub(crate) fn command(word: &Word) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut add = |word: &str| words.push(word.to_owned());
    match word {
        Word::Units { verb, names } => {
            ["systemctl", verb, "--"].into_iter().for_each(&mut add);
            names.iter().for_each(|name| add(&unit_name(name)));
        }
        Word::Shell { name, user } => {
            let user = user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
            ["machinectl", "shell", "--quiet", "--", &format!("{user}{name}")].into_iter().for_each(add);
        }
        Word::Run { name, command } => {
            inside(name).iter().for_each(|word| add(word));
            // The one that fits standard input and output.
            ["--pty", "--pipe", "--"].into_iter().for_each(&mut add);
            command.iter().for_each(|word| add(word));
        }
        Word::Logs { name, of, follow, lines, json } => {
            add("journalctl");
            match of {
                LogsOf::Host => add(&format!("--unit={}", unit_name(name))),
                LogsOf::Inside(unit) => {
                    add(&format!("--machine={name}"));
                    unit.iter().for_each(|unit| add(&format!("--unit={unit}")));
                }
            }
            lines.iter().for_each(|lines| add(&format!("--lines={lines}")));
            if *follow {
                add("--follow");
            }
            if *json {
                add("--output=json");
            }
        }
        Word::SshHostKey { name } => {
            inside(name).iter().for_each(|word| add(word));
            let script = "cat /etc/ssh/ssh_host_*_key.pub";
            ["--pipe", "--", "/bin/sh", "-c", script].into_iter().for_each(add);
        }
    }
    words
}

/// Returns the beginning of a command that runs another one inside, waits for it and exits with its status.
fn inside(name: &MachineName) -> Vec<String> {
    let machine = format!("--machine={name}");
    // Arguments are passed on as they are.
    let first = ["systemd-run", &machine, "--quiet", "--wait", "--collect", "--expand-environment=no"];
    let paths = SEARCH_PATH.iter().map(|path| format!("--property=ExecSearchPath={path}"));
    first.into_iter().map(str::to_owned).chain(paths).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_commands_of_systemd() {
        let name = |name: &str| name.parse::<MachineName>().unwrap();
        let web = || name("web");
        let logs = |of, follow, lines, json| Word::Logs { name: web(), of, follow, lines, json };
        let run = "systemd-run --machine=web --quiet --wait --collect --expand-environment=no \
                   --property=ExecSearchPath=/run/wrappers/bin --property=ExecSearchPath=/run/current-system/sw/bin \
                   --property=ExecSearchPath=/usr/bin --property=ExecSearchPath=/bin";
        let table = [
            (
                Word::Units { verb: "start", names: vec![web()] },
                "systemctl start -- systemd-nspawn@web.service",
            ),
            (
                Word::Units { verb: "stop", names: vec![web(), name("a-b")] },
                "systemctl stop -- systemd-nspawn@web.service systemd-nspawn@a-b.service",
            ),
            (Word::Shell { name: web(), user: None }, "machinectl shell --quiet -- web"),
            (Word::Shell { name: web(), user: Some("me".to_owned()) }, "machinectl shell --quiet -- me@web"),
            (
                Word::Run { name: web(), command: vec!["echo".to_owned(), "$HOME %n".to_owned()] },
                &format!("{run} --pty --pipe -- echo $HOME %n"),
            ),
            (logs(LogsOf::Host, false, None, false), "journalctl --unit=systemd-nspawn@web.service"),
            (logs(LogsOf::Inside(None), true, Some(5), false), "journalctl --machine=web --lines=5 --follow"),
            (
                logs(LogsOf::Inside(Some("nginx".to_owned())), false, None, true),
                "journalctl --machine=web --unit=nginx --output=json",
            ),
            (
                Word::SshHostKey { name: web() },
                &format!("{run} --pipe -- /bin/sh -c cat /etc/ssh/ssh_host_*_key.pub"),
            ),
        ];
        for (word, line) in table {
            assert_eq!(command(&word).join(" "), line, "{word:?}");
        }
    }
}
