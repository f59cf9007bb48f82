//! `create`: has Nix build a container or takes a built one, checks all that can be checked, records the intent and
//! starts it. A create that fails, or is interrupted, leaves nothing behind.

use std::fs;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies;
use nixos_nspawn_units::intent::{Intent, Source};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::belongs_to;
use nixos_nspawn_units::reach::host_reach;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::{DIRECTORY, Loaded};

use crate::base::context::Context;
use crate::base::exit::{refuse, under};
use crate::base::failpoint::stop_point;
use crate::base::{interrupt, output};
use crate::change::effect;
use crate::change::forget::forget;
use crate::change::next::{intent, missing_sources};
use crate::change::settle::{lock_settled, repair};
use crate::cli::Create;
use crate::command::created;
use crate::command::created::WouldCreate;
use crate::fact::generated_file::GeneratedFile;
use crate::fact::lookup::{find, machine_name};
use crate::fact::{dependents, installation};
use crate::host::journal::{journal_time, show_journal};
use crate::host::lock::Lock;
use crate::host::record::{Details, Phase, Record, Step};
use crate::host::{
    credentials, gc_roots, host_file, intent_file, profile_links, sockets, state_directory, systemd,
    unit_links,
};
use crate::nix::source::Said;
use crate::nix::tool::Nix;
use crate::nix::{profile, source};

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Create) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    if !context.live() && arguments.profile.is_none() {
        return refuse("--root works with --profile only, nothing was changed");
    }
    if arguments.dry_run {
        return dry_run(context, arguments, &name);
    }
    context.need_root("create")?;
    if context.live() {
        context.need_systemd()?;
        installation::check(context)?;
    }
    profile::check_store(context, arguments.allow_user_store)?;
    let _lock = lock_settled(context, &name)?;
    repair(context);
    name_is_free(context, &context.load(), &name)?;
    // What can be refused without having built is refused before the first write.
    if let Some(path) = &arguments.profile {
        profile::store_path(context, path)?;
    }
    let nix = if context.live() { Some(Nix::find(context)?) } else { None };
    let source = said(arguments).source(context, None)?;

    make_directory(context)?;
    let directory = profile_links::profile_directory(context, &name);
    if context.path(&directory).symlink_metadata().is_ok() {
        // Generations of python-nixos-nspawn are there, too; they are not ours to delete.
        return refuse(format!(
            "{0}: exists already, but belongs to no container, nothing was changed; move it away, or 'rm -r {0}'",
            directory.display()
        ));
    }
    let details = Details {
        profile_directory: directory,
        delete_state: !state_directory::exists(context, &name),
        ..Details::default()
    };
    let mut record = Record::begin(context, &name, Step::Creating, details)?;
    let begun = journal_time();
    let made = make(context, arguments, &name, nix.as_ref(), source, &mut record);
    match made {
        Ok(intent) => {
            record.finish(context)?;
            created::report(context, arguments, &record, &intent)
        }
        Err(error) => {
            interrupt::clean_up_begins();
            show_journal(context, &name, &begun);
            match forget(context, &record) {
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
    context: &Context,
    arguments: &Create,
    name: &MachineName,
    nix: Option<&Nix>,
    mut source: Source,
    record: &mut Record,
) -> Result<Intent> {
    let directory = record.details.profile_directory.clone();
    let below = context.path(&directory);
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&below)
        .with_context(|| below.display().to_string())?;
    let pending = directory.join("pending");
    stop_point("create-begun");
    let path = source::build(context, nix, name, &mut source, Some(&pending))?;
    stop_point("create-built");
    let profile = profile::read(context, &path, name)?;
    for warning in &profile.warnings {
        output::tell(&warning.to_string());
    }
    let system = directory.join("system");
    let generation = match nix {
        Some(nix) => nix.set_profile(&system, &profile.path)?,
        None => profile_links::make_offline_profile(context, &directory, &profile.path)?,
    };
    let _ = fs::remove_file(context.path(&pending));
    profile_links::drop_indirect_root(context, &pending);

    let mut intent = intent(context, name, &profile, source)?;
    intent.profile = Some(system.to_string_lossy().parse()?);
    intent.generation = Some(generation);
    if context.live() && !arguments.no_start {
        credentials::check_credentials(context, name, &intent)?;
    }
    record.details.missing_sources = missing_sources(context, &intent);
    record.save(context)?;
    let planned = {
        let _global = Lock::global(context)?;
        let loaded = host_file::load(context)?;
        let (_, planned) = intent_file::check(&loaded, name, &intent)?;
        if context.live() {
            host_file::record(context, &loaded.host)?;
        }
        intent_file::write(context, name, &intent)?;
        for note in dependents::unknown_names(&loaded, &intent) {
            output::tell(&format!("container '{name}': {note}"));
        }
        planned
    };
    stop_point("create-intent");
    gc_roots::keep(context, name, &intent.toplevel)?;
    if context.live() {
        systemd::reload_to(context, name, planned.hash.as_deref())?;
        // Those that start the container: what is left to a connection is no start.
        sockets::align(context, name, None, &intent)?;
        if !arguments.no_start {
            record.details.phase = Phase::Activating;
            record.save(context)?;
            output::tell(&format!("starting container '{name}'"));
            effect::start(context, name, planned.hash.as_deref(), None)?;
            for port in sockets::not_open(name, &intent, &sockets::known(context)?, true)? {
                output::tell(&format!("container '{name}': {port}"));
            }
            stop_point("create-started");
        }
    }
    record.details.phase = Phase::Started;
    record.save(context)?;
    stop_point("create-done");
    Ok(intent)
}

fn said(arguments: &Create) -> Said<'_> {
    Said {
        flake: arguments.flake.as_deref(),
        config: arguments.config.as_deref(),
        nixpkgs: arguments.nixpkgs.as_deref(),
        profile: arguments.profile.as_deref(),
        system: arguments.system.as_deref(),
        nix_args: &arguments.nix_args,
    }
}

/// Refuses a name that a container, a machine or a foreign settings file has.
fn name_is_free(context: &Context, loaded: &Loaded, name: &MachineName) -> Result<()> {
    if let Some(own) = loaded.errors.iter().find(|error| error.path == DIRECTORY) {
        return refuse(format!(
            "{own}, nothing was changed; 'chown root: {DIRECTORY}; chmod 755 {DIRECTORY}' sets it right"
        ));
    }
    if let Some(found) = find(loaded, name) {
        let kind = found.kind();
        return refuse(format!(
            "{}: container '{name}' ({kind}) exists already, nothing was changed",
            found.path()
        ));
    }
    for folder in ["/etc/systemd/nspawn", "/run/systemd/nspawn"] {
        let path = context.path(folder).join(format!("{name}.nspawn"));
        let ours = || copies::marked(&path).is_ok_and(|mark| mark.is_some());
        if path.symlink_metadata().is_ok() && !ours() {
            return refuse(format!(
                "{}: '{name}' is a container that nixos-nspawn does not manage, nothing was changed",
                path.display()
            ));
        }
    }
    if context.live() && unit_links::masked(context, name) {
        let unit = unit_name(name);
        return refuse(format!(
            "{unit} is masked, nothing was changed; 'systemctl unmask {unit}' lifts that"
        ));
    }
    if context.live() {
        let machine = context.path(format!("/run/systemd/machines/{name}"));
        if machine.exists() {
            return refuse(format!(
                "a machine called '{name}' is running already, nothing was changed; see 'machinectl'"
            ));
        }
    }
    Ok(())
}

/// /etc/nixos-nspawn, which the first create makes.
fn make_directory(context: &Context) -> Result<()> {
    let directory = context.path(DIRECTORY);
    if directory.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&directory)
        .with_context(|| format!("{}: cannot be made", directory.display()))
}

/// Shows files and actions by the same path that would act. Only Nix's store may grow.
fn dry_run(context: &Context, arguments: &Create, name: &MachineName) -> Result<()> {
    let loaded = host_file::load(context)?;
    name_is_free(context, &loaded, name)?;
    profile::check_store(context, arguments.allow_user_store)?;
    let nix = if arguments.profile.is_none() { Some(Nix::find(context)?) } else { None };
    let mut source = said(arguments).source(context, None)?;
    let path = source::build(context, nix.as_ref(), name, &mut source, None)?;
    let profile = profile::read(context, &path, name)?;
    let mut intent = intent(context, name, &profile, source)?;
    let system = profile_links::profile_directory(context, name).join("system");
    intent.profile = Some(system.to_string_lossy().parse()?);
    intent.generation = Some(1);
    let (plan, planned) = intent_file::check(&loaded, name, &intent)?;
    let files = plan.files.iter().filter(|(path, _)| belongs_to(path, name));
    let would = WouldCreate {
        name: name.as_str(),
        start: context.live() && !arguments.no_start,
        autostart: planned.autostart,
        built: &profile.path,
        intent_file: format!("{DIRECTORY}/{name}.json"),
        intent: &intent,
        host_reach: host_reach(&intent.container),
        warnings: &profile.warnings,
        notes: dependents::unknown_names(&loaded, &intent),
        files: files.map(|(path, entry)| GeneratedFile::of(path, entry)).collect(),
    };
    let text = intent.to_json()?;
    context.answer(&would, |would| would.text(&text))
}
