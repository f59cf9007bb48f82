//! `create`: has Nix build a container or takes a built one, checks all that can be checked, records the intent and
//! starts it. A create that fails, or is interrupted, leaves nothing behind.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies::{self, GC_ROOTS};
use nixos_nspawn_units::intent::{BindSource, Container, Intent, Source, parse};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Entry, Plan, Planned, belongs_to, plan};
use nixos_nspawn_units::store::{DIRECTORY, Kind, Loaded, Stored};
use nixos_nspawn_units::value::{StorePath, Text};
use nixos_nspawn_units::write::{link, write_durably};
use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::cli::Create;
use crate::context::{Context, find, machine_name};
use crate::exit::{Failed, refuse};
use crate::flake::Flake;
use crate::forget::{forget, repair};
use crate::lock::Lock;
use crate::nix::{self, Nix};
use crate::profile::{self, Profile};
use crate::record::{Details, Record, Step};
use crate::{host, interrupt, output, state, systemd};

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Create) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    if !context.live() && arguments.flake.is_some() {
        return refuse("--root works with --profile only, nothing was changed");
    }
    if arguments.dry_run {
        return dry_run(context, arguments, &name);
    }
    context.need_root("create")?;
    if context.live() {
        context.need_systemd()?;
        host::check(context)?;
    }
    profile::check_store(context, arguments.allow_user_store)?;
    let _lock = Lock::container(context, &name)?;
    repair_own(context, &name)?;
    name_is_free(context, &context.load(), &name)?;
    // What can be refused without having built is refused before the first write.
    let ready = arguments.profile.as_deref().map(|path| profile::store_path(context, path)).transpose()?;
    let nix = if context.live() { Some(Nix::find(context)?) } else { None };
    let source = source(context, arguments)?;

    make_directory(context)?;
    let details = Details {
        profile_directory: nix::profile_directory(context, &name),
        delete_state: !state::exists(context, &name),
        missing_sources: Vec::new(),
    };
    let mut record = Record::begin(context, &name, Step::Creating, details)?;
    let begun = journal_time();
    let made = make(context, arguments, &name, nix.as_ref(), ready, source, &mut record);
    match made {
        Ok(container) => {
            record.finish(context)?;
            report(context, arguments, &record, &container)
        }
        Err(error) => {
            interrupt::clean_up_begins();
            show_journal(context, &name, &begun);
            match forget(context, &record) {
                Ok(()) => {
                    Err(error.context(format!("container '{name}' was not created, nothing is left of it")))
                }
                Err(left) => Err(error.context(format!(
                    "container '{name}' was not created, and not all of it could be taken away ({left:#}); \
                     'nixos-nspawn remove {name}' tries again"
                ))),
            }
        }
    }
}

/// The half-created container of this name, or any other.
fn repair_own(context: &Context, name: &MachineName) -> Result<()> {
    for record in crate::record::pending(context).into_iter().filter(|record| record.name == *name) {
        output::tell(&format!(
            "container '{name}' was left half done by a killed command, taking it away first"
        ));
        forget(context, &record)?;
    }
    repair(context)
}

/// From the build to the running container.
fn make(
    context: &Context,
    arguments: &Create,
    name: &MachineName,
    nix: Option<&Nix>,
    ready: Option<StorePath>,
    source: Source,
    record: &mut Record,
) -> Result<Container> {
    let directory = record.details.profile_directory.clone();
    let below = context.path(&directory);
    if below.exists() {
        return refuse(format!(
            "{}: exists already, but belongs to no container; move it away first",
            below.display()
        ));
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&below)
        .with_context(|| below.display().to_string())?;
    let pending = directory.join("pending");
    let path = match (ready, nix) {
        (Some(path), _) => path,
        (None, Some(nix)) => build(context, arguments, name, nix, Some(&pending))?,
        (None, None) => return refuse("there is nothing to build from"),
    };
    let profile = profile::read(context, &path, name)?;
    for warning in &profile.warnings {
        output::tell(&warning.to_string());
    }
    let system = directory.join("system");
    let generation = match nix {
        Some(nix) => nix.set_profile(&system, &profile.path)?,
        None => nix::make_offline_profile(context, &directory, &profile.path)?,
    };
    let _ = fs::remove_file(context.path(&pending));
    nix::drop_indirect_root(context, &pending);

    let mut intent = intent(context, name, &profile, source)?;
    intent.profile = Some(system.to_string_lossy().parse()?);
    intent.generation = Some(generation);
    record.details.missing_sources = missing_sources(context, &intent.container);
    record.save(context)?;
    let planned = {
        let _global = Lock::global(context)?;
        let loaded = context.load();
        let (_, planned) = check(&loaded, name, &intent)?;
        if context.live() {
            host::record(context, &loaded.host)?;
        }
        write_intent(context, name, &intent)?;
        planned
    };
    keep(context, name, &intent.toplevel)?;
    if context.live() {
        systemd::reload_to(context, name, planned.hash.as_deref())?;
        if !arguments.no_start {
            start(context, name, planned.hash.as_deref())?;
        }
    }
    Ok(intent.container)
}

fn build(
    context: &Context,
    arguments: &Create,
    name: &MachineName,
    nix: &Nix,
    link: Option<&Path>,
) -> Result<StorePath> {
    let Some(text) = &arguments.flake else { return refuse("--flake or --profile is needed") };
    let flake = Flake::parse(text, &std::env::current_dir()?)?;
    let system = system(context, arguments);
    let mut words = context.config.nix_arguments.clone();
    words.extend(arguments.nix_args.iter().cloned());
    let installable = flake.installable(nix, name, &system, &words)?;
    nix.build(&installable, link, &words)
}

fn system(context: &Context, arguments: &Create) -> String {
    let configured = || context.config.system.as_ref().map(|system| system.as_str().to_owned());
    arguments.system.clone().or_else(configured).unwrap_or_else(nix::native_system)
}

/// What is recorded for updates.
fn source(context: &Context, arguments: &Create) -> Result<Source> {
    let text = |text: String| text.parse::<Text>().map_err(|error| Failed::Usage(error.to_string()));
    let mut source = Source { system: Some(text(system(context, arguments))?), ..Source::default() };
    for word in context.config.nix_arguments.iter().chain(&arguments.nix_args) {
        source.nix_args.push(text(word.clone())?);
    }
    if let Some(reference) = &arguments.flake {
        source.flake = Some(text(Flake::parse(reference, &std::env::current_dir()?)?.recorded())?);
    } else if let Some(path) = &arguments.profile {
        let absolute = std::path::absolute(path)?;
        let inside = Path::new("/").join(absolute.strip_prefix(&context.root).unwrap_or(&absolute));
        source.profile = Some(
            inside
                .to_string_lossy()
                .parse()
                .map_err(|error: nixos_nspawn_units::value::Invalid| Failed::Usage(error.to_string()))?,
        );
    }
    Ok(source)
}

/// The intent, with the administrator's defaults resolved.
fn intent(context: &Context, name: &MachineName, profile: &Profile, source: Source) -> Result<Intent> {
    let mut intent = Intent::new(name.clone(), profile.toplevel.clone());
    intent.container = profile.container.clone();
    intent.source = Some(source);
    if intent.container.timeout_start_sec.is_none() {
        intent.container.timeout_start_sec = context.config.timeout_start_sec.clone();
    }
    Ok(intent)
}

/// Refuses an intent that the generator would refuse, or that conflicts with another container.
fn check(loaded: &Loaded, name: &MachineName, intent: &Intent) -> Result<(Plan, Planned)> {
    // By the generator's own eyes: what is written must be readable.
    let intent = parse(intent.to_json()?.as_bytes(), name)
        .map_err(|fault| Failed::Refused(format!("container '{name}': {fault}")))?;
    let path = format!("{DIRECTORY}/{name}.json");
    let mut all = loaded.clone();
    all.errors.clear();
    all.intents.retain(|stored| stored.name != *name);
    all.intents.push(Stored { name: name.clone(), kind: Kind::Imperative, path, intent });
    let plan = plan(&all);
    let planned = plan.containers.iter().find(|planned| planned.name == *name).cloned();
    let planned = planned.with_context(|| format!("container '{name}' is not in the plan"))?;
    if let Some(refusal) = &planned.refusal {
        return refuse(refusal.clone());
    }
    if let Some(conflict) = planned.warnings.first() {
        return refuse(format!("container '{name}': {conflict}"));
    }
    Ok((plan, planned))
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
            "{}: there is a {kind} container '{name}' already, nothing was changed",
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

fn write_intent(context: &Context, name: &MachineName, intent: &Intent) -> Result<()> {
    let directory = context.path(DIRECTORY);
    let fd = openat(CWD, &directory, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    write_durably(&fd, &format!("{name}.json"), intent.to_json()?.as_bytes(), Mode::from_raw_mode(0o644))
        .with_context(|| format!("{}/{name}.json: cannot be written", directory.display()))
}

/// The collector must not take the recorded system, whatever happens to the profile.
fn keep(context: &Context, name: &MachineName, toplevel: &StorePath) -> Result<()> {
    let roots = context.path(GC_ROOTS);
    fs::create_dir_all(&roots).with_context(|| roots.display().to_string())?;
    let fd = openat(CWD, &roots, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    link(&fd, name.as_str(), toplevel.as_str())
        .with_context(|| format!("{}/{name}: cannot be linked", roots.display()))
}

/// Bind mount sources that the start will make.
fn missing_sources(context: &Context, container: &Container) -> Vec<PathBuf> {
    let sources = container.bind_mounts.iter().filter_map(|mount| match &mount.source {
        BindSource::Host(path) => Some(PathBuf::from(path.as_str())),
        BindSource::Root(_) | BindSource::Temporary => None,
    });
    sources.filter(|path| !context.path(path).exists()).collect()
}

/// Starts the container and looks whether it runs what was planned.
fn start(context: &Context, name: &MachineName, plan: Option<&str>) -> Result<()> {
    output::tell(&format!("starting container '{name}'"));
    let started = systemd::start(context, std::slice::from_ref(name));
    let state = systemd::state(context, name)?;
    started.with_context(|| format!("container '{name}' did not start"))?;
    if state.active != "active" || state.plan.as_deref() != plan {
        let message = format!("container '{name}' did not start: it is {} ({})", state.active, state.result);
        return Err(Failed::Program(message).into());
    }
    Ok(())
}

fn journal_time() -> String {
    let seconds =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("@{seconds}")
}

fn show_journal(context: &Context, name: &MachineName, since: &str) {
    if !context.live() {
        return;
    }
    let lines = systemd::journal(context, name, since, 20);
    if !lines.is_empty() {
        output::tell(&format!("the last lines of the journal of container '{name}':"));
        output::tell_more(&lines);
    }
}

fn report(context: &Context, arguments: &Create, record: &Record, container: &Container) -> Result<()> {
    let name = &record.name;
    let mut lines = vec![match (context.live(), arguments.no_start) {
        (true, false) => format!("container '{name}' is created and running"),
        (true, true) => {
            format!("container '{name}' is created; 'systemctl start systemd-nspawn@{name}' starts it")
        }
        (false, _) => format!("container '{name}' is recorded in {}", context.root.display()),
    }];
    if !record.details.delete_state {
        lines.push(format!(
            "note: the state in {} was there before and is used",
            state::directory(context, name).display()
        ));
    }
    if !container.in_user_namespace() {
        lines.push("note: root in it is root on this host (userNamespacing is off)".to_owned());
    }
    if context.live() {
        lines.extend(host::hints(context).into_iter().map(|hint| format!("note: {hint}")));
    }
    output::print(&(lines.join("\n") + "\n"))
}

/// Shows files and actions by the same path that would act. Only Nix's store may grow.
fn dry_run(context: &Context, arguments: &Create, name: &MachineName) -> Result<()> {
    let loaded = context.load();
    name_is_free(context, &loaded, name)?;
    profile::check_store(context, arguments.allow_user_store)?;
    let path = match &arguments.profile {
        Some(path) => profile::store_path(context, path)?,
        None => build(context, arguments, name, &Nix::find(context)?, None)?,
    };
    let profile = profile::read(context, &path, name)?;
    let mut intent = intent(context, name, &profile, source(context, arguments)?)?;
    let system = nix::profile_directory(context, name).join("system");
    intent.profile = Some(system.to_string_lossy().parse()?);
    intent.generation = Some(1);
    let (plan, planned) = check(&loaded, name, &intent)?;
    let mut lines: Vec<String> =
        profile.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
    lines.push(format!("would make profile {} of {}", system.display(), profile.path));
    lines.push(format!("would write {DIRECTORY}/{name}.json:"));
    lines.extend(intent.to_json()?.lines().map(|line| format!("  {line}")));
    lines.push("the generator would then write:".to_owned());
    for (path, entry) in plan.files.iter().filter(|(path, _)| belongs_to(path, name)) {
        lines.push(format!("  {path}"));
        if let Entry::File(text) = entry {
            lines.extend(text.lines().map(|line| format!("  | {line}").trim_end().to_owned()));
        }
    }
    lines.extend(
        nixos_nspawn_units::reach::host_reach(&intent.container)
            .iter()
            .map(|line| format!("host reach: {line}")),
    );
    lines.push(if arguments.no_start || !context.live() {
        format!("would not start container '{name}'")
    } else {
        format!("would start container '{name}'")
    });
    if planned.autostart {
        lines.push("it would start with the host".to_owned());
    }
    output::print(&(lines.join("\n") + "\n"))
}
