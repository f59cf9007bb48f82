//! Creates a container: has Nix build it or takes a built one, checks all that can be checked, records the intent and
//! starts it. A create that fails, or is interrupted, leaves nothing behind.

use std::fs;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies;
use nixos_nspawn_units::intent::{Intent, Source};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Plan, Planned};
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::{DIRECTORY, Loaded};

use crate::base::event::Event;
use crate::base::exit::{unchanged, under};
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::forget::forget;
use crate::change::next::{check_ports, intent, missing_sources};
use crate::change::{effect, settle};
use crate::fact::lookup::find;
use crate::fact::{dependents, host_network, installation};
use crate::host::journal::{journal_time, show_journal};
use crate::host::lock::Lock;
use crate::host::record::{Begun, Phase, Record, RecordDetails};
use crate::host::{
    credentials, gc_roots, host_file, intent_file, profile_links, sockets, state_directory, systemd,
    unit_links,
};
use crate::nix::profile::Profile;
use crate::nix::source::SourceArguments;
use crate::nix::tool::Nix;
use crate::nix::{profile, source};

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CreateOptions<'a> {
    /// Where the container comes from.
    pub(crate) source: SourceArguments<'a>,
    /// Whether it is started now, on a running system.
    pub(crate) start: bool,
    /// Accept a store that does not belong to root.
    pub(crate) allow_user_store: bool,
    /// Accept forwards of ports that a service of the host uses.
    pub(crate) allow_taken_ports: bool,
}

/// A container that was created.
#[derive(Debug)]
pub(crate) struct Created {
    /// What is recorded.
    pub(crate) intent: Intent,
    /// Whether it runs now.
    pub(crate) started: bool,
    /// Whether its state directory was there before.
    pub(crate) state_was_there: bool,
}

/// Creates the container.
pub(crate) fn create(host: &Host, name: &MachineName, options: &CreateOptions) -> Result<Created> {
    if host.live() {
        installation::check(host)?;
    }
    profile::check_store(host, options.allow_user_store)?;
    let _lock = settle::lock(host, name)?;
    name_is_free(host, &host.load(), name)?;
    // What can be refused without having built is refused before the first write.
    if let Some(path) = options.source.profile {
        profile::store_path(host, path)?;
    }
    let nix = if host.live() { Some(Nix::find(host)?) } else { None };
    let source = options.source.source(host, None)?;

    make_directory(host)?;
    let directory = profile_links::profile_directory(host, name);
    if host.path(&directory).symlink_metadata().is_ok() {
        // Generations of python-nixos-nspawn are there, too; they are not ours to delete.
        let folder = directory.display();
        return unchanged(
            format!("{folder}: exists already, but belongs to no container"),
            format!("move it away, or 'rm -r {folder}'"),
        );
    }
    let details = RecordDetails {
        profile_directory: directory,
        delete_state: !state_directory::exists(host, name),
        ..RecordDetails::default()
    };
    let mut record = Record::begin(host, name, Begun::Creating, details)?;
    let begun = journal_time();
    match make(host, options, name, nix.as_ref(), source, &mut record) {
        Ok(intent) => {
            record.finish(host)?;
            let started = host.live() && options.start;
            Ok(Created { intent, started, state_was_there: !record.details.delete_state })
        }
        Err(error) => {
            interrupt::clean_up_begins();
            show_journal(host, name, &begun);
            match forget(host, &record) {
                Ok(()) => {
                    Err(under(error, &format!("container '{name}' was not created"), "nothing is left of it"))
                }
                Err(left) => Err(error.context(format!(
                    "container '{name}' was not created, and not all of it could be taken away ({left:#}); \
                     'nixos-nspawn remove {name}' tries again"
                ))),
            }
        }
    }
}

/// From the build to the running container.
fn make(
    host: &Host,
    options: &CreateOptions,
    name: &MachineName,
    nix: Option<&Nix>,
    mut source: Source,
    record: &mut Record,
) -> Result<Intent> {
    let directory = record.details.profile_directory.clone();
    let below = host.path(&directory);
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&below)
        .with_context(|| below.display().to_string())?;
    let pending = directory.join("pending");
    failpoint("create-begun");
    let path = source::build(host, nix, name, &mut source, Some(&pending))?;
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
    let _ = fs::remove_file(host.path(&pending));
    profile_links::drop_indirect_root(host, &pending);

    let mut intent = intent(host, name, &profile, source)?;
    intent.profile = Some(system.to_string_lossy().parse()?);
    intent.generation = Some(generation);
    host_network::check_uplinks(host, name, &intent.container)?;
    check_ports(host, &host.load(), name, None, &intent, options.allow_taken_ports)?;
    if host.live() && options.start {
        credentials::check_credentials(host, name, &intent)?;
    }
    record.details.missing_sources = missing_sources(host, &intent);
    record.save(host)?;
    let planned = {
        let _global = Lock::global(host)?;
        let loaded = host_file::load(host)?;
        let (_, planned) = intent_file::check(&loaded, name, &intent)?;
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
        // Those that start the container: what is left to a connection is no start.
        sockets::align(host, name, None, &intent)?;
        if options.start {
            record.details.phase = Phase::Activating;
            record.save(host)?;
            if let Some(text) = host_network::foreign_rules(host, &intent.container) {
                host.report(Event::Note { name: name.clone(), text });
            }
            host.report(Event::Starting { name: name.clone() });
            effect::start(host, name, planned.hash.as_deref(), None)?;
            for text in sockets::not_open(name, &intent, &sockets::known(host)?, true)? {
                host.report(Event::Note { name: name.clone(), text });
            }
            failpoint("create-started");
        }
    }
    record.details.phase = Phase::Started;
    record.save(host)?;
    failpoint("create-done");
    Ok(intent)
}

/// Refuses a name that a container, a machine or a foreign settings file has.
fn name_is_free(host: &Host, loaded: &Loaded, name: &MachineName) -> Result<()> {
    if let Some(own) = loaded.errors.iter().find(|error| error.path == DIRECTORY) {
        return unchanged(
            format!("{own}"),
            format!("'chown root: {DIRECTORY}; chmod 755 {DIRECTORY}' sets it right"),
        );
    }
    if let Some(found) = find(loaded, name) {
        let kind = found.kind();
        return unchanged(format!("{}: container '{name}' ({kind}) exists already", found.path()), "");
    }
    for folder in host.scope.nspawn_files {
        let path = host.path(folder).join(format!("{name}.nspawn"));
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
        return unchanged(format!("{unit} is masked"), format!("'systemctl unmask {unit}' lifts that"));
    }
    if host.live() {
        let machine = host.path(format!("/run/systemd/machines/{name}"));
        if machine.exists() {
            return unchanged(format!("a machine called '{name}' is running already"), "see 'machinectl'");
        }
    }
    Ok(())
}

/// /etc/nixos-nspawn, which the first create makes.
fn make_directory(host: &Host) -> Result<()> {
    let directory = host.path(host.scope.intents);
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&directory)
        .with_context(|| format!("{}: cannot be made", directory.display()))
}

/// What a create would make.
pub(crate) struct CreateDraft {
    /// What was read of the build.
    pub(crate) profile: Profile,
    /// What would be recorded.
    pub(crate) intent: Intent,
    /// What the generator would write, for all containers.
    pub(crate) plan: Plan,
    /// The container's part of it.
    pub(crate) planned: Planned,
    /// Remarks.
    pub(crate) notes: Vec<String>,
}

/// Finds out what a create would make, by the same steps. Only Nix's store may grow.
pub(crate) fn draft(host: &Host, name: &MachineName, options: &CreateOptions) -> Result<CreateDraft> {
    let loaded = host_file::load(host)?;
    name_is_free(host, &loaded, name)?;
    profile::check_store(host, options.allow_user_store)?;
    let nix = if options.source.profile.is_none() { Some(Nix::find(host)?) } else { None };
    let mut source = options.source.source(host, None)?;
    let path = source::build(host, nix.as_ref(), name, &mut source, None)?;
    let profile = profile::read(host, &path, name)?;
    let mut intent = intent(host, name, &profile, source)?;
    let system = profile_links::profile_directory(host, name).join("system");
    intent.profile = Some(system.to_string_lossy().parse()?);
    intent.generation = Some(1);
    let (plan, planned) = intent_file::check(&loaded, name, &intent)?;
    let notes = dependents::unknown_names(&loaded, &intent);
    Ok(CreateDraft { profile, intent, plan, planned, notes })
}
