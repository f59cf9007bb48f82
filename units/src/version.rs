//! The systemd version that settings need. nspawn only warns about a setting it does not know, so a container would
//! start with half of its settings. Rendered files are checked, so options and free-form settings are treated alike.

use systemd_unit_syntax::UnitFile;

/// The oldest supported systemd; settings that it knows need no row here.
pub const OLDEST: u32 = 257;

/// Settings that came later: section, key, the value if only that is new, and the first systemd that knows it. Keys are
/// those of `nspawn-gperf.gperf`, see also [`systemd_unit_syntax::settings`].
const LATER: &[(&str, &str, Option<&str>, u32)] = &[
    ("Exec", "PrivateUsers", Some("managed"), 258),
    ("Exec", "PrivateUsersDelegate", None, 260),
    ("Exec", "RestrictAddressFamilies", None, 261),
    ("Files", "BindUserShell", None, 258),
    ("Files", "PrivateUsersOwnership", Some("foreign"), 258),
    ("Network", "NamespacePath", None, 259),
];

/// The first systemd that has `ActivatingConcurrencyMax=` (`systemd.slice(5)`).
pub const ACTIVATING_CONCURRENCY_MAX: u32 = 262;

/// A setting, and the first systemd that knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// The setting, such as `[Network] NamespacePath=`, with the value if only that is new.
    pub setting: String,
    /// The version.
    pub since: u32,
}

/// Returns the setting of a .nspawn file that needs the newest systemd, among those that [`OLDEST`] does not know.
pub fn need(nspawn: &UnitFile) -> Option<Need> {
    let mut found: Option<(usize, u32)> = None;
    for (section, key, value) in nspawn.settings() {
        let row = LATER.iter().position(|(in_section, name, only, _)| {
            *name == key && *in_section == section && only.is_none_or(|only| only == value)
        });
        if let Some(row) = row {
            let since = LATER[row].3;
            if found.is_none_or(|(_, before)| since > before) {
                found = Some((row, since));
            }
        }
    }
    found.map(|(row, since)| {
        let (section, key, only, _) = LATER[row];
        Need { setting: format!("[{section}] {key}={}", only.unwrap_or_default()), since }
    })
}

/// Returns what the host's systemd is too old for, as the end of a message.
pub fn unmet(nspawn: &UnitFile, host: u32) -> Option<String> {
    let Need { setting, since } = need(nspawn).filter(|need| need.since > host)?;
    Some(format!("{setting} needs systemd {since}, this host has {host}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use systemd_unit_syntax::settings::SETTINGS;

    #[test]
    fn the_rows_agree_with_the_table_of_settings() {
        let rows: Vec<_> = LATER
            .iter()
            .filter(|row| row.2.is_none())
            .map(|(section, key, _, since)| (*section, *key, *since))
            .collect();
        let mut known: Vec<_> = SETTINGS
            .iter()
            .map(|setting| (setting.section, setting.key, u32::from(setting.since)))
            .filter(|(_, _, since)| *since > OLDEST)
            .collect();
        known.sort_unstable();
        assert_eq!(rows, known);
    }

    #[test]
    fn a_setting_is_told_with_its_version() {
        let mut file = UnitFile::default();
        file.section("Exec").set("PrivateUsers", "pick");
        assert_eq!(need(&file), None);
        file.section("Files").set("PrivateUsersOwnership", "foreign");
        file.section("Network").set("NamespacePath", "/run/netns/a");
        let message = "[Network] NamespacePath= needs systemd 259, this host has 257";
        assert_eq!(unmet(&file, 257).as_deref(), Some(message));
        assert_eq!(unmet(&file, 259), None);
        let mut file = UnitFile::default();
        file.section("Exec").set("PrivateUsers", "managed");
        let message = "[Exec] PrivateUsers=managed needs systemd 258, this host has 257";
        assert_eq!(unmet(&file, 257).as_deref(), Some(message));
    }
}
