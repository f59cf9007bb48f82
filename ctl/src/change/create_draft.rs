//! What a create would make, by its own steps. Nothing but the Nix store is changed.

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Plan, Planned};

use crate::base::host::Host;
use crate::change::create::{CreateOptions, new_layer};
use crate::change::name_is_free::name_is_free;
use crate::change::next::intent;
use crate::change::snapshot;
use crate::fact::{dependents, setuid_places};
use crate::host::intent_file::Conflicts;
use crate::host::{host_file, intent_file, profile_links};
use crate::nix::build::{Made, Request};
use crate::nix::profile;
use crate::nix::profile::Profile;
use crate::nix::tool::Nix;

/// What a create would make.
pub(crate) struct CreateDraft {
    /// The contents of the build.
    pub(crate) profile: Profile,
    /// The intent that would be recorded.
    pub(crate) intent: Intent,
    /// What the generator would write, for all containers.
    pub(crate) plan: Plan,
    /// The container's part of the plan.
    pub(crate) planned: Planned,
    /// Notes for the user.
    pub(crate) notes: Vec<String>,
}

/// Finds out what a create would make.
pub(crate) fn draft(host: &Host, name: &MachineName, options: &CreateOptions) -> Result<CreateDraft> {
    let loaded = host_file::load(host)?;
    name_is_free(host, &loaded, name, options.import)?;
    profile::check_store(host, options.allow_user_store)?;
    let nix = if options.source.profile.is_none() { Some(Nix::find(host)?) } else { None };
    let layer = new_layer(options)?;
    let wanted = options.source.wanted(host, None)?;
    let Made { path, source, .. } = Request::first(host, nix.as_ref(), name, &wanted).build(None)?;
    let profile = profile::read(host, &path, name)?;
    let mut intent = intent(host, name, &profile, source, layer)?;
    let system = profile_links::profile_directory(host, name).join("system");
    intent.profile = Some(system.to_string_lossy().parse()?);
    intent.generation = Some(1);
    intent.autostart = options.import.and_then(|import| import.autostart);
    let (plan, planned) = intent_file::check(&loaded, name, &intent, Conflicts::Refused)?;
    if host.live() {
        snapshot::check(host, name, &intent)?;
    }
    let mut notes = dependents::unknown_names(&loaded, &intent);
    notes.extend(setuid_places::warning(host, name, &intent, None));
    Ok(CreateDraft { profile, intent, plan, planned, notes })
}
