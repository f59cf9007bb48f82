//! Compares two intents of the same container and tells whether a running nspawn can continue with the new one. The
//! generated settings are compared, not the options, so two ways to write the same thing are no change.

use std::collections::BTreeMap;

use crate::intent::Intent;
use crate::name::MachineName;
use crate::network::host_end;
use crate::nspawn::nspawn_file;
use crate::service::drop_in;
use crate::socket::{Socket, sockets};
use systemd_unit_syntax::UnitFile;
use systemd_unit_syntax::escape::EscapeError;

/// What a change means for the running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Settings and system are the same.
    Nothing,
    /// Only things outside of the container differ: when it starts, how long that may take, how it is reloaded, how the
    /// host's end of its network is configured.
    Outside(String),
    /// The system differs and the settings around it do not: the system itself can switch.
    Toplevel,
    /// Something differs that only a new nspawn can apply, named here.
    Settings(String),
}

/// Settings of the drop-in that systemd reads when it needs them; they do not affect the running container.
const OUTSIDE: [&str; 11] = [
    "SourcePath",
    "RequiresMountsFor",
    "After",
    "Requires",
    "Wants",
    "Description",
    "Documentation",
    "ExecReload",
    "TimeoutStartSec",
    "TimeoutStopSec",
    "TimeoutSec",
];

/// Returns the difference between `old` and `new`.
pub fn change(name: &MachineName, old: &Intent, new: &Intent) -> Result<Change, EscapeError> {
    // Compared without the system.
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
    if host_end(name, &old.container, 0) != host_end(name, &new.container, 0) {
        return Ok(Change::Outside("hostNetworkConfig".to_owned()));
    }
    if old.starts_at_boot() != new.starts_at_boot() {
        return Ok(Change::Outside("autostart".to_owned()));
    }
    if let Some((_, key, _)) = outside.into_iter().next() {
        return Ok(Change::Outside(format!("{key}=")));
    }
    // Socket units stand beside the container: they are closed and opened while it runs.
    let (before, after) = (sockets(name, old, "/")?, sockets(name, new, "/")?);
    let only_in = |some: &[Socket], others: &[Socket]| {
        some.iter().find(|one| !others.contains(one)).map(|one| one.host_side.clone())
    };
    let port = only_in(&after, &before).or_else(|| only_in(&before, &after));
    Ok(port.map_or(Change::Nothing, |port| Change::Outside(format!("the socket of port {port}"))))
}

/// Returns section, key and what happened to it for each setting whose values differ.
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
    use crate::intent::testing::with_options;

    fn intent(container: &str) -> Intent {
        with_options(&"web".parse().unwrap(), container).unwrap()
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
            between(&old, &intent(r#"{"forwardPorts":["127.0.0.1:80"]}"#)),
            Change::Outside("the socket of port tcp/127.0.0.1:80".to_owned())
        );
        assert_eq!(
            between(&intent(r#"{"forwardPorts":["[::1]:80"]}"#), &old),
            Change::Outside("the socket of port tcp/[::1]:80".to_owned())
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
        assert_eq!(between(&old, &intent(r#"{"requires":["db"]}"#)), Change::Outside("After=".to_owned()));
        assert_eq!(
            between(&old, &intent(r#"{"serviceConfig":{"MemoryMax":"1G"}}"#)),
            Change::Settings("[Service] MemoryMax= is added".to_owned())
        );
    }
}
