//! A container that is recorded with state that exists elsewhere: a clone, or the contents of an archive. Its intent is
//! written last, so that nothing starts half of it. One that fails or is killed leaves nothing behind.

use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;
use rustix::fs::syncfs;

use crate::base::exit::{unchanged, under};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::create::make_directory;
use crate::change::forget::forget;
use crate::change::load::load;
use crate::change::name_is_free::name_is_free;
use crate::change::rename::state_is_free;
use crate::host::files::{open_directory, sync_directory};
use crate::host::intent_file::{self, Conflicts};
use crate::host::lock::Lock;
use crate::host::record::{Begun, Phase, Record, RecordDetails, StateClaim};
use crate::host::store_sync::sync_store;
use crate::host::{gc_roots, host_file, profile_links, state_directory};
use crate::nix::tool::Nix;

/// A container to record.
pub(crate) struct NewCopy<'a> {
    /// Its name.
    pub(crate) name: &'a MachineName,
    /// Its profile in the store, once the state is filled.
    pub(crate) profile: &'a StorePath,
    /// Its intent, without profile and generation.
    pub(crate) intent: Intent,
}

/// Refuses a name that is taken in any way.
pub(crate) fn check_place(host: &Host, name: &MachineName) -> Result<()> {
    name_is_free(host, &host.load_one(name), name, None)?;
    state_is_free(host, name)?;
    let directory = profile_links::profile_directory(host, name);
    if !profile_links::is_adoptable(host, &directory)? {
        let folder = directory.display();
        return unchanged(
            format!("{folder}: already exists, but belongs to no container"),
            format!("move it away, or 'rm -r {folder}'"),
        );
    }
    Ok(())
}

/// Records a container whose state `fill` makes, and returns its intent. The container must be locked. `what` describes
/// what failed.
pub(crate) fn make(
    host: &Host,
    nix: Option<&Nix>,
    copy: NewCopy,
    what: &str,
    fill: impl FnOnce(&mut Record) -> Result<()>,
) -> Result<Intent> {
    make_directory(host)?;
    let name = copy.name;
    let details = RecordDetails {
        profile_directory: profile_links::profile_directory(host, name),
        ..RecordDetails::default()
    };
    let mut record = Record::begin(host, name, Begun::Creating, details)?;
    let made = record_copy(host, nix, copy, &mut record, fill).and_then(|intent| {
        profile_links::sync(host, &record.details.profile_directory)?;
        record.finish(host)?;
        Ok(intent)
    });
    made.map_err(|error| {
        interrupt::clean_up_begins();
        match forget(host, &record) {
            Ok(()) => under(error, what, "everything was cleaned up"),
            Err(left) => error.context(format!(
                "{what}, and could not be cleaned up completely ({left:#}); 'nixos-nspawn remove {name}' tries again"
            )),
        }
    })
}

fn record_copy(
    host: &Host,
    nix: Option<&Nix>,
    copy: NewCopy,
    record: &mut Record,
    fill: impl FnOnce(&mut Record) -> Result<()>,
) -> Result<Intent> {
    let NewCopy { name, profile, mut intent } = copy;
    let directory = record.details.profile_directory.clone();
    profile_links::remove_notes(host, &directory)?;
    profile_links::make_directory(host, &directory)?;
    record.details.made_profile = true;
    record.save(host)?;
    failpoint("copy-begun");
    // From here on, the garbage collector keeps it.
    let system = directory.join("system");
    let generation = match nix {
        Some(nix) => nix.set_profile(&system, profile)?,
        None => profile_links::make_offline_profile(host, &directory, profile)?,
    };
    fill(record)?;
    failpoint("copy-filled");
    intent.profile = Some(system.to_string_lossy().parse()?);
    intent.generation = Some(generation);
    // Names the root that is made next.
    record.details.new_intent = intent.to_json()?;
    record.save(host)?;
    gc_roots::keep(host, name, &intent.toplevel)?;
    failpoint("copy-kept");
    sync_store(host)?;
    interrupt::check()?;
    record.details.phase = Phase::Copied;
    record.save(host)?;
    failpoint("copy-complete");
    {
        let _global = Lock::global(host)?;
        let loaded = host_file::load(host)?;
        name_is_free(host, &loaded, name, None)?;
        intent_file::check(&loaded, name, &intent, Conflicts::Refused)?;
        if host.live() {
            host_file::record(host, &loaded.host)?;
        }
        intent_file::write(host, name, &intent)?;
    }
    failpoint("copy-recorded");
    load(host, name, &intent)?;
    record.details.phase = Phase::Started;
    record.save(host)?;
    Ok(intent)
}

/// Makes the empty root directory of a container, and records that this command did: a subvolume if its snapshots are
/// wanted.
pub(crate) fn make_state(
    host: &Host,
    name: &MachineName,
    subvolume: bool,
    record: &mut Record,
) -> Result<()> {
    record.details.state = StateClaim::Making;
    record.save(host)?;
    let made = match subvolume {
        true => state_directory::make_subvolume(host, name)?.map(StateClaim::MadeSubvolume),
        false => state_directory::make(host, name)?.map(StateClaim::Made),
    };
    let Some(made) = made else {
        record.details.state = StateClaim::None;
        let place = state_directory::directory(host, name);
        return unchanged(format!("{}: already exists", place.display()), "");
    };
    record.details.state = made;
    record.save(host)
}

/// Writes the state to the disk.
pub(crate) fn sync_state(host: &Host, state: &Path) -> Result<()> {
    let synced = open_directory(state).and_then(|directory| Ok(syncfs(directory)?));
    synced.with_context(|| format!("{}: cannot be written to the disk", state.display()))?;
    sync_directory(&host.machines())
}
