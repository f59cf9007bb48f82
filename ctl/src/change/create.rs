//! Creates a container: builds it with Nix or uses an existing build, checks it, records the intent and starts it. A
//! create that fails or is interrupted leaves nothing behind.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies;
use nixos_nspawn_units::intent::{Intent, Overrides};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::{DIRECTORY, Loaded};

use crate::base::event::Event;
use crate::base::exit::{unchanged, under};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::conditions::check_ports;
use crate::change::effect::StartLimit;
use crate::change::forget::forget;
use crate::change::next::{intent, layer, limit_or_start, missing_sources};
use crate::change::profile_steps::remove_pending;
use crate::change::{effect, settle, snapshot};
use crate::decision::overrides::OverrideChanges;
use crate::fact::lookup::{all_seen, find};
use crate::fact::{dependents, host_network, installation};
use crate::host::intent_file::Conflicts;
use crate::host::journal::{journal_time, show_journal};
use crate::host::lock::Lock;
use crate::host::record::{Begun, Phase, Record, RecordDetails, StateClaim};
use crate::host::store_sync::sync_store;
use crate::host::update_memory::{BuiltFrom, UpdateMemory};
use crate::host::{
    credentials, gc_roots, host_file, intent_file, profile_links, sockets, state_directory, systemd,
    unit_links,
};
use crate::nix::build::{Made, Request};
use crate::nix::profile;
use crate::nix::source::{SourceArguments, Wanted};
use crate::nix::tool::Nix;

/// The options of a create.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CreateOptions<'a> {
    /// The source of the container.
    pub(crate) source: SourceArguments<'a>,
    /// What the administrator sets over the options of the build.
    pub(crate) overrides: Option<&'a OverrideChanges>,
    /// Whether to start it now, on a running system.
    pub(crate) start: bool,
    /// Whether to accept a store that root does not own.
    pub(crate) allow_user_store: bool,
    /// Whether to accept forwards of ports that a service of the host uses.
    pub(crate) allow_taken_ports: bool,
    /// Set if `apply` creates it.
    pub(crate) applied: Option<AppliedBy>,
}

/// What `apply` has found out about the flake.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AppliedBy {
    /// The user whose checkout may be read.
    pub(crate) owner: Option<u32>,
}

/// A container that was created.
#[derive(Debug)]
pub(crate) struct Created {
    /// The recorded intent.
    pub(crate) intent: Intent,
    /// Whether it runs now.
    pub(crate) started: bool,
    /// Whether its state directory existed before.
    pub(crate) state_was_there: bool,
}

/// Creates a container.
pub(crate) fn create(host: &Host, name: &MachineName, options: &CreateOptions) -> Result<Created> {
    let nix = if host.live() { Some(Nix::find(host)?) } else { None };
    create_with(host, nix.as_ref(), name, options, None)
}

/// Creates a container with a Nix that has resolved its source, and uses a build that is still valid.
pub(crate) fn create_with(
    host: &Host,
    nix: Option<&Nix>,
    name: &MachineName,
    options: &CreateOptions,
    built: Option<&BuiltFrom>,
) -> Result<Created> {
    if host.live() {
        installation::check(host)?;
    }
    profile::check_store(host, options.allow_user_store)?;
    let _lock = settle::lock(host, name)?;
    name_is_free(host, &host.load_one(name), name)?;
    // Whatever can be refused without a build is refused before the first write.
    if let Some(path) = options.source.profile {
        profile::store_path(host, path)?;
    }
    let layer = layer(&Overrides::default(), options.overrides)?;
    let mut wanted = options.source.wanted(host, None)?;
    if let Some(AppliedBy { owner }) = options.applied {
        wanted.source.applied = true;
        wanted.source.owner = owner;
    }

    make_directory(host)?;
    let directory = profile_links::profile_directory(host, name);
    if !profile_links::is_adoptable(host, &directory)? {
        // The directory may hold generations of python-nixos-nspawn, which are not ours to delete.
        let folder = directory.display();
        return unchanged(
            format!("{folder}: already exists, but belongs to no container"),
            format!("move it away, or 'rm -r {folder}'"),
        );
    }
    let state_was_there = state_directory::exists(host, name);
    let details = RecordDetails { profile_directory: directory, ..RecordDetails::default() };
    let mut record = Record::begin(host, name, Begun::Creating, details)?;
    // A hold or a failure of an earlier container of this name is none of this one's.
    profile_links::remove_notes(host, &record.details.profile_directory)?;
    let begun = journal_time();
    match make(host, options, name, nix, (&wanted, &layer, built), &mut record) {
        Ok(intent) => {
            profile_links::sync(host, &record.details.profile_directory)?;
            record.finish(host)?;
            let started = host.live() && options.start;
            Ok(Created { intent, started, state_was_there })
        }
        Err(error) => {
            interrupt::clean_up_begins();
            show_journal(host, name, &begun);
            match forget(host, &record) {
                Ok(()) => Err(under(
                    error,
                    &format!("container '{name}' was not created"),
                    "everything was cleaned up",
                )),
                Err(left) => Err(error.context(format!(
                    "container '{name}' was not created, and could not be cleaned up completely ({left:#}); \
                     'nixos-nspawn remove {name}' tries again"
                ))),
            }
        }
    }
}

/// Builds, records and starts the container.
fn make(
    host: &Host,
    options: &CreateOptions,
    name: &MachineName,
    nix: Option<&Nix>,
    (wanted, layer, built): (&Wanted, &Overrides, Option<&BuiltFrom>),
    record: &mut Record,
) -> Result<Intent> {
    let directory = record.details.profile_directory.clone();
    profile_links::make_directory(host, &directory)?;
    record.details.made_profile = true;
    record.save(host)?;
    let pending = directory.join("pending");
    failpoint("create-begun");
    let request = Request { host, nix, name, wanted, recorded: None, last: built, limit: None };
    let Made { path, source, from, .. } = request.build(Some(&pending))?;
    failpoint("create-built");
    let profile = profile::read(host, &path, name)?;
    for warning in &profile.warnings {
        host.report(Event::ProfileWarning { text: warning.clone() });
    }
    let system = directory.join("system");
    let generation = match nix {
        Some(nix) => nix.set_profile(&system, &profile.path)?,
        None => profile_links::make_offline_profile(host, &directory, &profile.path)?,
    };
    UpdateMemory::change(host, name, &directory, |memory| memory.built = from)?;
    remove_pending(host, &directory);

    let mut intent = intent(host, name, &profile, source, layer.clone())?;
    intent.profile = Some(system.to_string_lossy().parse()?);
    intent.generation = Some(generation);
    host_network::check_uplinks(host, name, &intent.container)?;
    check_ports(host, None, name, None, &intent, options.allow_taken_ports)?;
    if host.live() {
        snapshot::check(host, name, &intent)?;
    }
    if host.live() && options.start {
        credentials::check_credentials(host, name, &intent)?;
    }
    record.details.new_intent = intent.to_json()?;
    record.save(host)?;
    sync_store(host)?;
    let planned = {
        let _global = Lock::global(host)?;
        let loaded = host_file::load(host)?;
        // It may have been written by hand while Nix was building.
        name_is_free(host, &loaded, name)?;
        let (_, planned) = intent_file::check(&loaded, name, &intent, Conflicts::Refused)?;
        if host.live() {
            host_file::record(host, &loaded.host)?;
        }
        intent_file::write(host, name, &intent)?;
        for text in dependents::unknown_names(&loaded, &intent) {
            host.report(Event::Note { name: name.clone(), text });
        }
        planned
    };
    failpoint("create-intent");
    gc_roots::keep(host, name, &intent.toplevel)?;
    if host.live() {
        systemd::reload_to(host, name, planned.hash.as_deref())?;
        // Opens sockets that start the container; they do not count as a start.
        sockets::align(host, name, None, &intent)?;
        if options.start {
            make_state(host, name, &intent, record)?;
            record.details.missing_sources = missing_sources(host, &intent);
            record.details.phase = Phase::Activating;
            record.save(host)?;
            if let Some(text) = host_network::foreign_rules(host, &intent.container) {
                host.report(Event::Note { name: name.clone(), text });
            }
            host.report(Event::Starting { name: name.clone() });
            let limit = StartLimit::systemd(limit_or_start(None, &intent));
            effect::start(host, name, planned.hash.as_deref(), limit)?;
            for text in sockets::not_open(name, &intent, &sockets::known(host)?, true)? {
                host.report(Event::Note { name: name.clone(), text });
            }
            failpoint("create-started");
        }
    }
    if host.live() && !options.start && intent.container.activation.snapshot {
        // The first start would make a directory.
        make_state(host, name, &intent, record)?;
    }
    record.details.phase = Phase::Started;
    record.save(host)?;
    failpoint("create-done");
    Ok(intent)
}

/// Creates the root directory, and records that this create did.
fn make_state(host: &Host, name: &MachineName, intent: &Intent, record: &mut Record) -> Result<()> {
    record.details.state = StateClaim::Making;
    record.save(host)?;
    let made = match intent.container.activation.snapshot {
        true => state_directory::make_subvolume(host, name)?.map(StateClaim::MadeSubvolume),
        false => state_directory::make(host, name)?.map(StateClaim::Made),
    };
    record.details.state = made.unwrap_or_default();
    record.save(host)
}

/// Refuses a name that a container, a machine or a settings file of others already has.
pub(super) fn name_is_free(host: &Host, loaded: &Loaded, name: &MachineName) -> Result<()> {
    if let Some(own) = loaded.errors.iter().find(|error| error.path == DIRECTORY) {
        return unchanged(
            format!("{own}"),
            if host.intents().symlink_metadata().is_ok_and(|found| found.is_dir()) {
                format!("'chown root: {DIRECTORY}; chmod 755 {DIRECTORY}' fixes it")
            } else {
                "correct that first".to_owned()
            },
        );
    }
    all_seen(loaded)?;
    if let Some(found) = find(loaded, name) {
        let kind = found.kind();
        return unchanged(format!("{}: container '{name}' ({kind}) already exists", found.path()), "");
    }
    for folder in host.scope.nspawn_files {
        let path = host.directory(folder).join(format!("{name}.nspawn"));
        let ours = || copies::marked(&path).is_ok_and(|mark| mark.is_some());
        if path.symlink_metadata().is_ok() && !ours() {
            return unchanged(
                format!("{}: '{name}' is a container that nixos-nspawn does not manage", path.display()),
                "",
            );
        }
    }
    if host.live() && unit_links::masked(host, name) {
        let unit = unit_name(name);
        return unchanged(format!("{unit} is masked"), format!("run 'systemctl unmask {unit}' first"));
    }
    if host.live() && host.registered(name).exists() {
        return unchanged(format!("a machine named '{name}' is already running"), "see 'machinectl'");
    }
    Ok(())
}

/// Creates /etc/nixos-nspawn if it does not exist.
pub(super) fn make_directory(host: &Host) -> Result<()> {
    let directory = host.path(host.scope.intents);
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&directory)
        .with_context(|| format!("{}: cannot be created", directory.display()))
}
