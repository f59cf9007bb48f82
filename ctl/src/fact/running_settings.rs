//! Compares the settings that a running container was started with to its recorded intent, and returns the intent in
//! effect as far as it can be determined. A reload switches the system under the settings of the last start; that is
//! not a difference in settings.

use std::fs;

use nixos_nspawn_units::change::{Change, change};
use nixos_nspawn_units::copies::copy_path;
use nixos_nspawn_units::intent::{Intent, parse as parse_intent};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::plan_one;
use nixos_nspawn_units::store::Kind;
use systemd_unit_syntax::parse;

use crate::base::host::Host;
use crate::fact::overview::Container;
use crate::host::inside::running_system;
use crate::host::{known_settings, runtime_files};

/// Returns the recorded intent with the system that the container was started with, if its settings have this `mark`;
/// `None` if it was started with others.
fn recorded(
    host: &Host,
    name: &MachineName,
    kind: Kind,
    path: &str,
    intent: &Intent,
    mark: &str,
) -> Option<Intent> {
    let settings = parse(&fs::read(copy_path(&host.root, name)).ok()?).ok()?.file;
    let init = settings.values("Exec", "Parameters").find_map(|value| value.strip_suffix("/init"))?;
    let started = Intent { toplevel: init.parse().ok()?, ..intent.clone() };
    let plan = plan_one(name, kind, path, &started);
    let same = plan.containers.first().and_then(|planned| planned.hash.as_deref()) == Some(mark);
    same.then_some(started)
}

/// Returns the intent with which a container runs that was started with the mark `used`, as far as it is known. Its system
/// may be that of the start.
pub(crate) fn in_effect(
    host: &Host,
    name: &MachineName,
    kind: Kind,
    path: &str,
    intent: &Intent,
    used: &str,
) -> Option<Intent> {
    let known = known_settings::read(host, name).filter(|known| known.plan == used);
    let known = known.and_then(|known| parse_intent(known.intent.as_bytes(), name).ok());
    known.or_else(|| recorded(host, name, kind, path, intent, used))
}

/// Returns whether a running container has another system than recorded, or other settings that only a restart applies. A
/// reload switches the system under the settings of the last start, and with it may come changes that are not seen inside,
/// such as those of ports.
pub(crate) fn runs_otherwise(host: &Host, container: &Container) -> bool {
    let Container { name, kind, intent_file: Some(path), intent: Some(intent), .. } = container else {
        return false;
    };
    let Some(used) = runtime_files::mark(host, name) else { return false };
    let running = running_system(host, name);
    if running.as_ref().is_some_and(|running| *running != intent.toplevel) {
        return true;
    }
    if container.hash.as_ref() == Some(&used) {
        return false;
    }
    if running.is_none() {
        return true;
    }
    let Some(effect) = in_effect(host, name, *kind, path, intent, &used) else { return true };
    let effect = Intent { toplevel: intent.toplevel.clone(), ..effect };
    !matches!(change(name, &effect, intent), Ok(Change::Nothing | Change::Outside(_)))
}
