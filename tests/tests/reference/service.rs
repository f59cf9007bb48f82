//! Settings of drop-ins and nspawn command lines as systemd sees them, without those that each program needs for itself.

use std::collections::{BTreeMap, BTreeSet};

use nixos_nspawn_tests::reference::Settings;
use systemd_unit_syntax::UnitFile;

/// Returns the settings of a drop-in, without those that each program needs for itself.
pub(crate) fn service(file: &UnitFile) -> Settings {
    let mut settings = Settings::new();
    let mut credentials = BTreeMap::new();
    for (section, key, value) in file.settings() {
        let mut add = |value: &str| settings.entry(key.to_owned()).or_default().push(value.to_owned());
        match (section, key) {
            // Ours: the author, the required mounts, and the helper around nspawn.
            ("Unit", "SourcePath" | "RequiresMountsFor") | ("Service", "ExecStopPost") => {}
            // Theirs: makes the root directory and the sources of bind mounts, like our `--prepare`.
            ("Service", "ExecStartPre") => {}
            // Theirs: NixOS restarts the unit if the text changes. NixOS does not know generated units.
            ("Unit", "X-Restart-Triggers" | "X-RestartIfChanged") | ("Service", "X-RestartIfChanged") => {}
            // systemd finds the installed nspawn, which needs no PATH, locales or time zones. NIXOS_NSPAWN_PLAN shows
            // ctl what PID 1 has loaded.
            ("Service", "Environment") => {
                let word = value.trim_matches('"');
                let name = word.split('=').next().unwrap_or_default();
                if !["PATH", "LOCALE_ARCHIVE", "TZDIR", "NIXOS_NSPAWN_PLAN"].contains(&name) {
                    add(word);
                }
            }
            // The same program, by store path or by systemd's search path.
            ("Service", "ExecReload") if value.is_empty() => {}
            ("Service", "ExecReload") => add(&without_store_path(value)),
            ("Service", "ExecStart") if value.is_empty() => {}
            ("Service", "ExecStart") => {
                let (rest, loaded) = start(value, file);
                credentials.extend(loaded);
                rest.iter().for_each(|word| add(word));
            }
            // Compared with ExecStart=, which passes them on.
            ("Service", "LoadCredential") => {}
            _ => add(value),
        }
    }
    settings.insert(
        "credentials".to_owned(),
        credentials.into_iter().map(|(id, from)| format!("{id} from {from}")).collect(),
    );
    settings.values_mut().for_each(|values| values.sort());
    settings
}

fn without_store_path(command: &str) -> String {
    match command.split_once("/bin/systemd-run ") {
        Some((store, rest)) if store.starts_with("/nix/store/") => format!("systemd-run {rest}"),
        _ => command.to_owned(),
    }
}

/// Returns the arguments of an nspawn command line that apply to the container, and its credentials with their sources.
fn start(command: &str, file: &UnitFile) -> (BTreeSet<String>, BTreeMap<String, String>) {
    let mut credentials = BTreeMap::new();
    let mut words = BTreeSet::new();
    for word in command.split(' ').map(|word| word.trim_matches(['\'', '"'])).filter(|word| !word.is_empty())
    {
        if let Some(credential) = word.strip_prefix("--load-credential=") {
            let (id, from) = credential.split_once(':').expect("ID:PATH");
            // A name refers to a credential that the unit has loaded: the same file, read by systemd.
            let loaded = file.values("Service", "LoadCredential").filter_map(|line| line.split_once(':'));
            let from = loaded.filter(|(name, _)| *name == from).map(|(_, path)| path).last().unwrap_or(from);
            credentials.insert(id.to_owned(), from.to_owned());
        } else if word.ends_with("systemd-nspawn") {
            words.insert("systemd-nspawn".to_owned());
        } else if !["-U", "--link-journal=try-guest"].contains(&word) {
            // Theirs omits these two of the template; PrivateUsers= and LinkJournal= override them anyway.
            words.insert(word.to_owned());
        }
    }
    (words, credentials)
}
