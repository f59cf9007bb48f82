//! The configuration of systemd-networkd itself (`networkd.conf(5)`): whether it leaves routing policy rules, routes
//! and nexthops of other programs alone, and our file that makes it do so.

use std::collections::BTreeMap;
use std::fs::{self, DirEntry};
use std::path::Path;

use anyhow::{Context as _, Result};
use systemd_unit_syntax::settings::parse_boolean;
use systemd_unit_syntax::{drop_in_order, parse};

use crate::base::host::Host;
use crate::host::files::{absent, followed, remove_file, write_file};
use crate::host::setup_file::{Owner, marked, owner, refuse_others};

/// The file, as packages install it below /usr/lib.
const TEXT: &str = include_str!("../../../systemd/10-nixos-nspawn.conf");

/// Where `setup` installs it.
pub(crate) const PATH: &str = "/etc/systemd/networkd.conf.d/10-nixos-nspawn.conf";

/// The setting about routing policy rules.
pub(crate) const RULES: &str = "ManageForeignRoutingPolicyRules";

/// The setting about routes.
pub(crate) const ROUTES: &str = "ManageForeignRoutes";

/// The setting about nexthops.
pub(crate) const NEXT_HOPS: &str = "ManageForeignNextHops";

/// The settings of the file; networkd's default for each is `yes`.
pub(crate) const SETTINGS: [&str; 3] = [RULES, ROUTES, NEXT_HOPS];

/// The directories that networkd searches, in order of precedence (`networkd.conf(5)`).
const PLACES: [&str; 4] = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];

/// Returns the settings without which networkd deletes what other programs made when it starts. A file that cannot be
/// read may assign each of them.
pub(crate) fn at_risk(host: &Host) -> Vec<&'static str> {
    let (settings, complete) = settings(host, true);
    let off = |setting: &str| settings.get(setting).and_then(|value| parse_boolean(value)) == Some(false);
    SETTINGS.into_iter().filter(|setting| !complete || !off(setting)).collect()
}

/// Says how to make networkd leave alone what these settings are about.
pub(crate) fn how_to_keep(settings: &[&str]) -> String {
    let lines: Vec<String> = settings.iter().map(|setting| format!("'{setting}=no'")).collect();
    format!("put {} below [Network] into a file in /etc/systemd/networkd.conf.d", lines.join(", "))
}

/// Returns the text that `setup` would write: the settings that no other file assigns; `None` if there are none.
pub(crate) fn missing(host: &Host) -> Option<String> {
    let (made, _) = settings(host, false);
    let kept = |line: &&str| !line.split_once('=').is_some_and(|(key, _)| made.contains_key(key));
    SETTINGS
        .iter()
        .any(|setting| !made.contains_key(*setting))
        .then(|| TEXT.lines().filter(kept).map(|line| format!("{line}\n")).collect())
}

/// Returns whether the file that `setup` writes exists. A file that somebody else wrote in its place does not count.
pub(crate) fn installed(host: &Host) -> Result<bool> {
    Ok(owner(&host.path(PATH))? == Owner::Setup)
}

/// Refuses a file of somebody else in its place.
pub(crate) fn check(host: &Host) -> Result<()> {
    refuse_others(
        &host.path(PATH),
        "remove it, or set 'ManageForeignRoutingPolicyRules=no' below [Network] in it",
    )
}

/// Writes the file.
pub(crate) fn install(host: &Host, text: &str) -> Result<()> {
    check(host)?;
    let path = host.path(PATH);
    let folder = path.parent().unwrap_or(&path);
    fs::create_dir_all(folder).with_context(|| format!("{}: cannot be created", folder.display()))?;
    write_file(&path, marked(text).as_bytes(), 0o644)
}

/// Removes the file, and its folder if that is empty.
pub(crate) fn remove(host: &Host) -> Result<()> {
    let path = host.path(PATH);
    remove_file(&path)?;
    let _ = path.parent().map(fs::remove_dir);
    Ok(())
}

/// Returns the settings in [Network] of all files, with or without the file that `setup` writes, and whether all files
/// could be read.
fn settings(host: &Host, with_ours: bool) -> (BTreeMap<String, String>, bool) {
    let main = PLACES.iter().map(|place| host.path(Path::new(place).join("networkd.conf")));
    let main = main.into_iter().find(|path| path.symlink_metadata().is_ok());
    let mut complete = true;
    let mut entries = Vec::new();
    for place in PLACES {
        let directory = host.directory(Path::new(place).join("networkd.conf.d"));
        match fs::read_dir(&directory) {
            Ok(found) => entries.extend(found.flatten()),
            Err(error) => complete &= absent(&error),
        }
    }
    let ours = host.path(PATH);
    let files = drop_in_order(entries.iter().map(DirEntry::path))
        .into_iter()
        .filter(|path| with_ours || *path != ours || !installed(host).unwrap_or(false));
    let mut settings = BTreeMap::new();
    for path in main.into_iter().chain(files) {
        let read = fs::read(followed(host, &path));
        let gone = read.as_ref().is_err_and(absent);
        let Some(parsed) = read.ok().and_then(|bytes| parse(&bytes).ok()) else {
            complete &= gone;
            continue;
        };
        let assigned = parsed.file.settings().filter(|(section, ..)| *section == "Network");
        settings.extend(assigned.map(|(_, key, value)| (key.to_owned(), value.to_owned())));
    }
    (settings, complete)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manages_foreign(host: &Host, setting: &str) -> bool {
        at_risk(host).contains(&setting)
    }

    fn host(root: &Path) -> Host {
        Host::open(root, false, Box::new(|_| {})).unwrap()
    }

    #[test]
    fn the_file_has_the_settings_that_nobody_made() {
        let root = tempfile::tempdir().unwrap();
        let put = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let host = host(root.path());
        assert!(SETTINGS.iter().all(|setting| TEXT.contains(&format!("\n{setting}=no\n"))));
        assert_eq!(missing(&host).as_deref(), Some(TEXT));
        assert!(manages_foreign(&host, RULES) && !installed(&host).unwrap());

        // Comments set nothing, and neither do files that another one replaces.
        put("etc/systemd/networkd.conf", "[Network]\n#ManageForeignRoutes=yes\n");
        put("usr/lib/systemd/networkd.conf", "[Network]\nManageForeignRoutes=yes\n");
        assert_eq!(missing(&host).as_deref(), Some(TEXT));
        put("run/systemd/networkd.conf.d/a.conf", "[Network]\nManageForeignRoutes=yes\n");
        let text = missing(&host).unwrap();
        assert!(
            !text.contains("ManageForeignRoutes=") && text.contains("ManageForeignNextHops=no"),
            "{text}"
        );

        install(&host, &text).unwrap();
        assert!(installed(&host).unwrap() && !manages_foreign(&host, RULES));
        assert_eq!(at_risk(&host), [ROUTES]);
        assert!(manages_foreign(&host, "ManageForeignRoutes"));
        // Running setup again leads to the same file.
        assert_eq!(missing(&host), Some(text));
        put("etc/systemd/networkd.conf.d/z.conf", "[Network]\nManageForeignRoutingPolicyRules=yes\n");
        assert!(manages_foreign(&host, RULES));
        remove(&host).unwrap();
        assert!(!installed(&host).unwrap());
        assert_eq!(at_risk(&host), SETTINGS);
        // A file that cannot be read may say the opposite.
        install(&host, TEXT).unwrap();
        fs::remove_file(root.path().join("run/systemd/networkd.conf.d/a.conf")).unwrap();
        fs::remove_file(root.path().join("etc/systemd/networkd.conf.d/z.conf")).unwrap();
        assert!(at_risk(&host).is_empty());
        fs::create_dir(root.path().join("etc/systemd/networkd.conf.d/z.conf")).unwrap();
        assert_eq!(at_risk(&host), SETTINGS);
        fs::remove_dir(root.path().join("etc/systemd/networkd.conf.d/z.conf")).unwrap();
        remove(&host).unwrap();
        // Somebody else's file is not replaced.
        let theirs = "[Network]\nManageForeignRoutes=no\n";
        put("etc/systemd/networkd.conf.d/10-nixos-nspawn.conf", theirs);
        assert!(install(&host, TEXT).is_err() && !installed(&host).unwrap());
        assert_eq!(fs::read_to_string(host.path(PATH)).unwrap(), theirs);
        fs::remove_file(host.path(PATH)).unwrap();
        // A package installs the complete file.
        put("usr/lib/systemd/networkd.conf.d/10-nixos-nspawn.conf", TEXT);
        assert_eq!(missing(&host), None);
    }
}
