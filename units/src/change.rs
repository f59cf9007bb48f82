//! What lies between two intents of the same container: whether a running nspawn can take the new one over. Two intents
//! go in, a [`Change`] with its reason comes out. Compared are the generated settings, not the options, so that
//! two ways to say the same are no change.

use std::collections::BTreeMap;

use crate::intent::Intent;
use crate::name::MachineName;
use crate::network::network_file;
use crate::nspawn::nspawn_file;
use crate::service::drop_in;
use crate::syntax::UnitFile;
use crate::syntax::escape::EscapeError;

/// What a change means for the running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The same settings and the same system.
    Nothing,
    /// Only things outside of the container: when it starts, how long that may take, how it is reloaded, how the host's
    /// end of its network is configured.
    Outside(String),
    /// Another system, with the same settings around it: the system itself can switch.
    Toplevel,
    /// Something that only a new nspawn takes on, named.
    Settings(String),
}

/// Settings of the drop-in that systemd takes from the unit when it needs them; the running container does not know
/// them.
const OUTSIDE: [&str; 8] = [
    "SourcePath",
    "RequiresMountsFor",
    "Description",
    "Documentation",
    "ExecReload",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "TimeoutSec",
];

/// The difference between `old` and `new`.
pub fn change(name: &MachineName, old: &Intent, new: &Intent) -> Result<Change, EscapeError> {
    // With the system taken out of the comparison.
    let same_system = Intent { toplevel: old.toplevel.clone(), ..new.clone() };
    let nspawn = differences(&nspawn_file(old)?, &nspawn_file(&same_system)?);
    let service = differences(&drop_in(name, old, "/")?, &drop_in(name, &same_system, "/")?);
    let (outside, inside): (Vec<_>, Vec<_>) =
        service.into_iter().partition(|(_, key, _)| OUTSIDE.contains(&key.as_str()));
    if let Some((section, key, how)) = nspawn.into_iter().chain(inside).next() {
        return Ok(Change::Settings(format!("[{section}] {key}= {how}")));
    }
    if old.toplevel != new.toplevel {
        return Ok(Change::Toplevel);
    }
    if network_file(name, &old.container, 0) != network_file(name, &new.container, 0) {
        return Ok(Change::Outside("hostNetworkConfig".to_owned()));
    }
    if old.starts_at_boot() != new.starts_at_boot() {
        return Ok(Change::Outside("autostart".to_owned()));
    }
    Ok(outside.into_iter().next().map_or(Change::Nothing, |(_, key, _)| Change::Outside(format!("{key}="))))
}

/// Section, key and what happened to it, for each setting whose values differ.
fn differences(old: &UnitFile, new: &UnitFile) -> Vec<(String, String, &'static str)> {
    let collect = |file: &UnitFile| {
        let mut settings: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for (section, key, value) in file.settings() {
            settings.entry((section.to_owned(), key.to_owned())).or_default().push(value.to_owned());
        }
        settings
    };
    let (old, new) = (collect(old), collect(new));
    let mut found = Vec::new();
    for (at, values) in &new {
        match old.get(at) {
            None => found.push((at.0.clone(), at.1.clone(), "is added")),
            Some(before) if before != values => found.push((at.0.clone(), at.1.clone(), "differs")),
            Some(_) => {}
        }
    }
    found.extend(
        old.keys().filter(|at| !new.contains_key(*at)).map(|at| (at.0.clone(), at.1.clone(), "is dropped")),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intent(container: &str) -> Intent {
        let text = format!(
            r#"{{"version":1,"toplevel":"/nix/store/{}-a","container":{container}}}"#,
            "a".repeat(32)
        );
        crate::intent::parse(text.as_bytes(), &"web".parse().unwrap()).unwrap()
    }

    fn between(old: &Intent, new: &Intent) -> Change {
        change(&"web".parse().unwrap(), old, new).unwrap()
    }

    #[test]
    fn each_kind_of_change() {
        let old = intent("{}");
        assert_eq!(between(&old, &old), Change::Nothing);
        let toplevel = format!("/nix/store/{}-b", "b".repeat(32)).parse().unwrap();
        assert_eq!(between(&old, &Intent { toplevel, ..old.clone() }), Change::Toplevel);
        assert_eq!(
            between(&old, &intent(r#"{"bindMounts":["/srv"]}"#)),
            Change::Settings("[Files] Bind= is added".to_owned())
        );
        assert_eq!(
            between(&old, &intent(r#"{"forwardPorts":[{"hostPort":80}]}"#)),
            Change::Settings("[Network] Port= is added".to_owned())
        );
        assert_eq!(
            between(&old, &intent(r#"{"activation":{"autoStart":false}}"#)),
            Change::Outside("autostart".to_owned())
        );
        assert_eq!(
            between(&old, &intent(r#"{"hostNetworkConfig":{}}"#)),
            Change::Outside("hostNetworkConfig".to_owned())
        );
        assert_eq!(
            between(&old, &intent(r#"{"network":"none"}"#)),
            Change::Settings("[Network] VirtualEthernet= differs".to_owned())
        );
        assert_eq!(
            between(&old, &intent(r#"{"timeoutStartSec":"5min"}"#)),
            Change::Outside("TimeoutStartSec=".to_owned())
        );
        assert_eq!(
            between(&old, &intent(r#"{"serviceConfig":{"MemoryMax":"1G"}}"#)),
            Change::Settings("[Service] MemoryMax= is added".to_owned())
        );
    }
}
