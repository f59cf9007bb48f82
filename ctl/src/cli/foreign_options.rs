//! Options that other programs have, and what to use in their place.

use clap::Command;

/// Options of `nix build` and `nix eval` that belong after `--`.
pub(super) const OF_NIX: [&str; 33] = [
    "--accept-flake-config",
    "--arg",
    "--argstr",
    "--builders",
    "--commit-lock-file",
    "--cores",
    "--eval-store",
    "--experimental-features",
    "--extra-experimental-features",
    "--fallback",
    "--impure",
    "--include",
    "--inputs-from",
    "--keep-failed",
    "--keep-going",
    "--max-jobs",
    "--no-eval-cache",
    "--no-update-lock-file",
    "--no-write-lock-file",
    "--offline",
    "--option",
    "--override-flake",
    "--override-input",
    "--print-build-logs",
    "--rebuild",
    "--recreate-lock-file",
    "--refresh",
    "--repair",
    "--show-trace",
    "--substituters",
    "--tarball-ttl",
    "--update-input",
    "-L",
];

/// Returns what to use in place of an option or a word.
pub(super) fn instead(command: &Command, name: &str, word: &str) -> Option<String> {
    let verb = command.get_name();
    let takes = |id: &str| command.get_arguments().any(|one| one.get_id() == id);
    let other = |option: &str, id: &str| takes(id).then(|| format!("use '{option}'"));
    match (verb, word) {
        ("list", "--all" | "-a") => {
            Some(format!("leave out '{word}': 'list' shows stopped containers as well"))
        }
        ("list", "--running") => Some("use '--state active'".to_owned()),
        ("list", "--stopped") => Some("use '--state inactive'".to_owned()),
        ("list", "--name") => Some(format!("use 'list {name}'")),
        ("list", "--failed") => Some("use '--state failed'".to_owned()),
        ("remove", "--purge" | "--volumes") => Some("use '--delete-state'".to_owned()),
        ("remove", "--now") => Some(format!("leave out '{word}': 'remove' stops the container")),
        ("remove", "--force" | "-f" | "--yes" | "-y") => {
            Some(format!("leave out '{word}': nothing is asked"))
        }
        ("rollback", "--generation" | "-g") => Some("use '--to'".to_owned()),
        ("rollback", number) if number.parse::<u64>().is_ok() => Some(format!("use '--to {number}'")),
        ("shell", "--user" | "--uid" | "-u") => Some(format!("use 'USER@{name}'")),
        ("shell", command) if !command.starts_with('-') => {
            Some(format!("use 'nixos-nspawn run {name} -- {command}'"))
        }
        ("run", command) if !command.starts_with('-') => {
            Some(format!("put the command behind '--': 'nixos-nspawn run {name} -- {command}'"))
        }
        ("logs", unit) if !unit.starts_with('-') => Some(format!("use '--unit {unit}'")),
        ("logs", _) => Some(format!("'journalctl -M {name}' takes all options of journalctl(1)")),
        ("create", "--auto-start" | "--autostart") => {
            Some(format!("leave out '{word}': containers start with the host unless 'disable' prevents it"))
        }
        ("status", "--all" | "-a") => {
            Some(format!("leave out '{word}': without a name, the host is summed up"))
        }
        ("start" | "stop" | "restart" | "activate" | "hold", "--now") => {
            Some(format!("leave out '{word}': '{verb}' acts at once"))
        }
        (_, "--all" | "-a") if takes("names") || takes("which") => {
            Some(format!("name the containers: 'nixos-nspawn {verb} $(nixos-nspawn list --quiet)'"))
        }
        (_, "-n") => other("--dry-run", "dry_run"),
        (_, "-j") => other("--jobs", "jobs"),
        (_, "--format" | "--output" | "-o") => Some("use '--json' for scripts".to_owned()),
        (_, "--network-bridge") => other("--bridge", "bridge"),
        (_, "--network-zone") => other("--zone", "zone"),
        (_, "--publish" | "-p") => other("--port", "port"),
        (_, "--volume") => other("--bind", "bind"),
        (_, "--memory" | "-m") => other("--memory-max", "memory_max"),
        (_, "-e") => other("--env", "env"),
        (_, "--nixos-path" | "--nixpkgs-path") => other("--nixpkgs", "nixpkgs"),
        (_, "--host-address" | "--local-address") if takes("bridge") => Some(
            "addresses are options of the container: 'hostNetworkConfig' and 'containerNetworkConfig'"
                .to_owned(),
        ),
        (_, "--ensure-unique-name") => Some("leave it out: a name that is taken is refused".to_owned()),
        _ => None,
    }
}
