//! Compares the settings that a running container was started with to its recorded intent, and returns the intent in
//! effect as far as it can be determined. A reload switches the system under the settings of the last start; that is
//! not a difference in settings.

use std::fs;

use nixos_nspawn_units::copies::copy_path;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::plan_one;
use nixos_nspawn_units::store::Kind;
use systemd_unit_syntax::parse;

use crate::base::host::Host;

/// Returns the recorded intent with the system that the container was started with, if its settings have this `mark`;
/// `None` if it was started with others.
pub(crate) fn recorded(
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
