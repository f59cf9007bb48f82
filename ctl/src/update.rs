//! `update`: has Nix build a container anew from its recorded source, or another one, and switches to the result. What
//! cannot be checked beforehand is watched afterwards, and taken back if it fails; several containers are several pieces
//! of work.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::{Intent, Source, Strategy};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::reach::host_reach;
use nixos_nspawn_units::service::{DEFAULT_TIMEOUT, unit_name};
use nixos_nspawn_units::store::Kind;
use nixos_nspawn_units::value::{StorePath, Timespan};

use crate::activate::{Action, Decision, decide};
use crate::cli::{self, Expect, From, Plan, Update};
use crate::context::{Context, imperative, machine_name};
use crate::exit::{Failed, refuse, under};
use crate::forget::{lock_settled, repair};
use crate::generations::generations;
use crate::lock::Lock;
use crate::nix::{self, Nix};
use crate::record::{Details, Record, Step};
use crate::source::{self, Said};
use crate::stop_point::stop_point;
use crate::switch::{Switch, Target, align_profile, remove_pending};
use crate::updated::{self, Outcome, Updated};
use crate::{
    activate, create, dependents, host, inspect, intent_file, interrupt, output, plan, profile, systemd,
};

/// Runs `update`.
pub(crate) fn run(context: &Context, arguments: &Update) -> Result<()> {
    if arguments.dry_run {
        let plan = Plan {
            names: arguments.names.clone(),
            all: arguments.all,
            from: arguments.from.clone(),
            strategy: arguments.activation.strategy,
            exit_code: arguments.exit_code,
            nix_args: arguments.nix_args.clone(),
        };
        return plan::run(context, &plan);
    }
    context.need_root("update")?;
    context.need_systemd()?;
    let limit = limit(&arguments.activation)?;
    host::check(context)?;
    let nix = Nix::find(context)?;
    let names = names(context, &arguments.names, arguments.all, &arguments.from)?;
    if names.is_empty() {
        output::tell("there are no imperative containers, nothing to update");
    }
    let mut results = Vec::new();
    for name in &names {
        let result = one(context, &nix, name, arguments, limit);
        let stop = interrupt::check().is_err();
        results.push((name, result));
        if stop {
            break;
        }
    }
    let done = finish(context, results, names.len());
    repair(context);
    done
}

/// One result is the command's; several are told in a table.
fn finish(context: &Context, results: Vec<(&MachineName, Result<Updated>)>, wanted: usize) -> Result<()> {
    let mut failure = None;
    let mut all = Vec::new();
    for (name, result) in results {
        all.push(result.unwrap_or_else(|error| {
            let failed = Updated::failed(name, &error);
            failure = Some(error);
            failed
        }));
    }
    match (context.json, wanted, &all[..]) {
        (true, ..) => output::print_json(&all)?,
        (false, 2.., _) => output::print(&updated::table(&all))?,
        (false, _, [one]) if failure.is_none() => output::print(&format!("{}\n", one.line()))?,
        _ => {}
    }
    match failure {
        // The table has told it; JSON is not for people.
        Some(_) if wanted > 1 && !context.json => Err(Failed::Silent.into()),
        Some(_) if wanted > 1 => {
            all.iter().filter_map(Updated::error_line).for_each(|line| output::tell(&line));
            Err(Failed::Silent.into())
        }
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The containers that are meant.
pub(crate) fn names(context: &Context, given: &[String], all: bool, from: &From) -> Result<Vec<MachineName>> {
    if all {
        let loaded = context.load();
        return Ok(loaded
            .intents
            .into_iter()
            .filter(|stored| stored.kind == Kind::Imperative)
            .map(|stored| stored.name)
            .collect());
    }
    if given.len() > 1 && (from.flake.is_some() || from.config.is_some() || from.profile.is_some()) {
        return Err(Failed::Usage(
            "--flake, --config and --profile go with one container, nothing was changed".to_owned(),
        )
        .into());
    }
    given.iter().map(|name| machine_name(name)).collect()
}

pub(crate) fn limit(activation: &cli::Activation) -> Result<Option<Duration>> {
    let Some(text) = &activation.timeout else { return Ok(None) };
    let span: Timespan = text.parse().map_err(|error| Failed::Usage(format!("--timeout: {error}")))?;
    Ok(Some(span.microseconds().map_or(Duration::from_secs(86_400), Duration::from_micros)))
}

/// How long an activation may take: as said, else as the container's start.
pub(crate) fn limit_or_start(limit: Option<Duration>, intent: &Intent) -> Duration {
    let start = || {
        let text = intent.container.timeout_start_sec.as_ref().map_or(DEFAULT_TIMEOUT, |span| span.as_str());
        let span = text.parse::<Timespan>().ok();
        span.and_then(|span| span.microseconds()).map_or(Duration::from_secs(86_400), Duration::from_micros)
    };
    limit.unwrap_or_else(start)
}

/// The strategy as said, else the container's own.
pub(crate) fn strategy(said: Option<cli::Strategy>, new: &Intent) -> Strategy {
    match said {
        Some(cli::Strategy::None) => Strategy::None,
        Some(cli::Strategy::Reload) => Strategy::Reload,
        Some(cli::Strategy::Restart) => Strategy::Restart,
        Some(cli::Strategy::Dynamic) => Strategy::Dynamic,
        None => new.container.activation.strategy,
    }
}

/// Refuses options that let a container reach further into its host than before.
pub(crate) fn check_reach(
    context: &Context,
    name: &MachineName,
    old: &Intent,
    new: &Intent,
    allow: bool,
) -> Result<()> {
    let before = host_reach(&old.container);
    let added: Vec<String> =
        host_reach(&new.container).into_iter().filter(|line| !before.contains(line)).collect();
    if added.is_empty() || allow || context.config.allow_host_changes {
        return Ok(());
    }
    refuse(format!(
        "container '{name}' would reach further into the host than before ({}), nothing was changed; \
         --allow-host-changes accepts that",
        added.join("; ")
    ))
}

/// What an update would record.
pub(crate) struct Next {
    /// The new intent, its generation still that of the old one.
    pub(crate) intent: Intent,
    /// What was built.
    pub(crate) profile: StorePath,
}

/// Builds, and reads what was built.
pub(crate) fn next(
    context: &Context,
    nix: &Nix,
    name: &MachineName,
    old: &Intent,
    said: &Said,
    link: Option<&std::path::Path>,
) -> Result<Next> {
    let mut source = said.source(context, old.source.as_ref())?;
    let path = source::build(context, Some(nix), name, &mut source, link)?;
    let built = profile::read(context, &path, name)?;
    for warning in &built.warnings {
        output::tell(warning);
    }
    let mut intent = create::intent(context, name, &built, source)?;
    intent.profile = old.profile.clone();
    if intent.profile.is_none() {
        let system = nix::profile_directory(context, name).join("system");
        intent.profile = Some(system.to_string_lossy().parse()?);
    }
    intent.generation = old.generation;
    intent.autostart = old.autostart;
    Ok(Next { intent, profile: path })
}

/// Whether only what is recorded of the source differs.
pub(crate) fn same_but_source(old: &Intent, new: &Intent) -> bool {
    Intent { source: None, ..old.clone() } == Intent { source: None, ..new.clone() }
}

/// The source without the revision, which changes with every commit, also one that builds the same.
fn unlocked(intent: &Intent) -> Option<Source> {
    intent.source.clone().map(|source| Source { locked: None, ..source })
}

fn one(
    context: &Context,
    nix: &Nix,
    name: &MachineName,
    arguments: &Update,
    limit: Option<Duration>,
) -> Result<Updated> {
    let _lock = lock_settled(context, name)?;
    let loaded = context.load();
    let old = imperative(&loaded, name)?;
    ready(context, name, old)?;
    align_profile(context, nix, old);
    let directory = profile_folder(context, name, old);
    let details = Details {
        profile_directory: directory.clone(),
        old_intent: std::fs::read_to_string(crate::forget::intent_path(context, name))?,
        newest_generation: newest(context, name, old),
        ran: !systemd::state(context, name)?.stopped(),
        ..Details::default()
    };
    let mut record = Record::begin(context, name, Step::Updating, details)?;
    let prepared = prepare(context, nix, name, old, arguments, &directory);
    let (next, decision) = match prepared {
        Ok(Prepared::Switch(next, decision)) => (next, decision),
        Ok(Prepared::Nothing) => {
            remove_pending(context, &directory);
            record.finish(context)?;
            return Ok(Updated::nothing(name, old.generation));
        }
        Err(error) => {
            interrupt::clean_up_begins();
            remove_pending(context, &directory);
            record.finish(context)?;
            interrupt::clean_up_ends();
            return Err(under(error, &format!("container '{name}' was not updated"), "nothing was changed"));
        }
    };
    let before = old.generation;
    let switch = Switch {
        context,
        nix,
        name,
        target: Target::New(next.profile),
        decision,
        expect: arguments.activation.expect,
        check: arguments.activation.check.as_deref(),
        limit: limit_or_start(limit, &next.intent),
        keep: arguments.activation.keep,
        new: next.intent,
    };
    let switched = switch.run(&mut record)?;
    remove_pending(context, &directory);
    Ok(Updated::switched(name, before, switched, Outcome::Updated))
}

/// The number of the newest generation.
pub(crate) fn newest(context: &Context, name: &MachineName, intent: &Intent) -> u64 {
    generations(context, name, intent).last().map_or(0, |generation| generation.number)
}

/// Refuses what could be neither done nor taken back.
pub(crate) fn ready(context: &Context, name: &MachineName, old: &Intent) -> Result<()> {
    let unit = unit_name(name);
    if inspect::masked(context, name) {
        return refuse(format!(
            "{unit} is masked, nothing was changed; 'systemctl unmask {unit}' lifts that"
        ));
    }
    // An intent by hand may name any profile, the host's own for instance.
    let folder = profile_folder(context, name, old);
    if folder.file_name().is_none_or(|folder| folder != name.as_str()) {
        return refuse(format!(
            "{}: is not the profile folder of container '{name}', nothing was changed; it must be called '{name}'",
            folder.display()
        ));
    }
    Ok(())
}

/// The folder of the profile's links.
pub(crate) fn profile_folder(context: &Context, name: &MachineName, intent: &Intent) -> std::path::PathBuf {
    let recorded =
        intent.profile.as_ref().and_then(|profile| std::path::Path::new(profile.as_str()).parent());
    recorded.map_or_else(|| nix::profile_directory(context, name), std::path::Path::to_owned)
}

enum Prepared {
    Switch(Box<Next>, Decision),
    Nothing,
}

/// Build and checks: nothing but the link for the build is made.
fn prepare(
    context: &Context,
    nix: &Nix,
    name: &MachineName,
    old: &Intent,
    arguments: &Update,
    directory: &std::path::Path,
) -> Result<Prepared> {
    let below = context.path(directory);
    std::fs::create_dir_all(&below).with_context(|| below.display().to_string())?;
    let said = Said::of(&arguments.from, &arguments.nix_args);
    let next = next(context, nix, name, old, &said, Some(&directory.join("pending")))?;
    stop_point("built");
    if same_but_source(old, &next.intent) {
        if unlocked(old) != unlocked(&next.intent) {
            let _global = Lock::global(context)?;
            intent_file::write(context, name, &next.intent)?;
            drop(_global);
            // The drop-in names the file as its source, and systemctl would warn that it changed.
            if let Err(error) = systemd::daemon_reload(context) {
                output::tell(&format!("container '{name}': its new source is recorded, but {error:#}"));
            }
        }
        return Ok(Prepared::Nothing);
    }
    check_reach(context, name, old, &next.intent, arguments.allow_host_changes)?;
    let loaded = host::load(context)?;
    intent_file::check(&loaded, name, &next.intent)?;
    for note in dependents::unknown_names(&loaded, &next.intent) {
        output::tell(&format!("container '{name}': {note}"));
    }
    let runs = !systemd::state(context, name)?.stopped();
    let decision =
        decide(name, old, &next.intent, strategy(arguments.activation.strategy, &next.intent), runs)?;
    if decision.action == Action::Restart {
        activate::check_credentials(context, name, &next.intent)?;
    }
    if arguments.activation.expect == Expect::None
        && decision.action == Action::AtNextStart
        && arguments.activation.check.is_some()
    {
        output::tell("the container is not activated now, so --check is not run");
    }
    Ok(Prepared::Switch(Box::new(next), decision))
}
