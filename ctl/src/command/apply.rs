//! `apply`: makes the containers of this host what a flake says.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::interrupt;
use crate::base::output::Tone;
use crate::base::secrets::without_secrets;
use crate::base::table;
use crate::base::table::Cell;
use crate::change::applied::Applied;
use crate::change::apply;
use crate::change::apply_options::ApplyOptions;
use crate::change::host_flake::{HostFlake, look};
use crate::change::plan::plan;
use crate::change::summary::summarize;
use crate::change::update_options::UpdateOptions;
use crate::change::updated::Updated;
use crate::cli::Apply;
use crate::command::begin::begin;
use crate::command::several::machine_names;
use crate::command::{arguments, reachable, updated};
use crate::decision::host_flake::Part;
use crate::fact::installation;
use crate::fact::overview::Overview;
use crate::host::lock::Lock;
use crate::nix::source::SourceArguments;
use crate::nix::tool::Nix;

/// Runs the command.
pub(crate) fn run(context: &Context, given: &Apply) -> Result<()> {
    let names = machine_names(&given.names)?;
    let built = arguments::built(&given.built, given.build_on_host)?;
    let source = SourceArguments {
        built: &built,
        flake: given.flake.as_deref(),
        system: given.system.as_deref(),
        nix_args: &given.nix_args,
        ..SourceArguments::default()
    };
    let build_limit = arguments::limit("--build-timeout", given.several.build_timeout.as_ref())?;
    let activation = arguments::activation(&given.activation)?;
    if !given.several.dry_run {
        begin(context, "apply")?;
    }
    context.need_systemd()?;
    installation::check(context)?;
    let nix = Nix::find(context)?.refreshing(!given.no_refresh).building_at_most(build_limit);
    if given.several.dry_run {
        let flake = look(context, &nix, &source, &names)?;
        if given.prune {
            flake.check_prune(!names.is_empty())?;
        }
        return dry_run(context, &nix, &flake, given, &source);
    }
    // Two at once would create the same containers.
    let _lock = Lock::apply(context)?;
    let flake = look(context, &nix, &source, &names)?;
    if given.prune {
        flake.check_prune(!names.is_empty())?;
    }
    let options = ApplyOptions {
        update: UpdateOptions {
            // What is recorded names the flake and its attribute.
            source: SourceArguments { flake: None, ..source },
            overrides: None,
            activation,
            consent: arguments::consent(given.several.allow_host_changes.as_deref()),
            allow_taken_ports: given.several.allow_taken_ports,
            applied_from: Some(&flake.reference),
            all: true,
            retry: given.retry,
        },
        prune: given.prune,
        start: !given.no_start,
        limits: arguments::limits(&given.several),
    };
    let results = apply::apply(context, &nix, &flake, &options);
    if names.is_empty() {
        summarize(context, &results.iter().map(|one| &one.updated).collect::<Vec<_>>());
    }
    report(context, &flake, results)
}

/// The result for a container.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct AppliedAnswer {
    #[serde(flatten)]
    updated: Updated,
    /// Whether the container was changed, also if something failed afterwards.
    changed: bool,
}

fn report(context: &Context, flake: &HostFlake, mut results: Vec<Applied>) -> Result<()> {
    reachable::add(context, results.iter_mut().map(|one| &mut one.updated));
    let failed = results.iter().any(|one| one.updated.error.is_some());
    if context.json {
        results
            .iter()
            .filter_map(|one| updated::error_line(&one.updated))
            .for_each(|line| context.screen.tell(&line));
        let answers =
            results.into_iter().map(|Applied { updated, changed }| AppliedAnswer { updated, changed });
        context.screen.print_json(&answers.collect::<Vec<_>>())?;
    } else if results.is_empty() {
        nothing(context, flake);
    } else {
        context.screen.print(&updated::table(results.iter().map(|one| &one.updated), context.color))?;
    }
    interrupt::check()?;
    let unusable = unusable(context, flake);
    if failed || unusable { Err(Failed::Silent.into()) } else { Ok(()) }
}

/// Says that the flake has nothing for this host.
fn nothing(context: &Context, flake: &HostFlake) {
    let host = flake.host_names.all.join(", ");
    context.screen.tell(&format!("{}: has no containers for this host ({host})", flake.shown()));
}

/// Tells which attributes of the flake cannot be applied. Returns whether there are any.
fn unusable(context: &Context, flake: &HostFlake) -> bool {
    for (name, why) in &flake.unusable {
        context.screen.tell(&format!("{}: nixosContainers.{name} is left out: {why}", flake.shown()));
    }
    !flake.unusable.is_empty()
}

/// What would be done with a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Would {
    /// It would be created.
    Create,
    /// It would be updated.
    Update,
    /// It would be started.
    Start,
    /// Nothing would be done.
    Nothing,
    /// It would be left alone.
    Skip,
    /// The flake no longer has it; `--prune` would remove it.
    Gone,
    /// It would be removed.
    Remove,
    /// It cannot be determined.
    Fail,
}

/// What would be done with a container, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct WouldApply {
    name: MachineName,
    would: Would,
    /// Whether the container would be changed.
    changed: bool,
    reason: Option<String>,
    error: Option<String>,
}

impl WouldApply {
    fn new(name: &MachineName, would: Would, reason: Option<String>) -> Self {
        let changed = matches!(would, Would::Create | Would::Update | Would::Start | Would::Remove);
        Self { name: name.clone(), would, changed, reason, error: None }
    }

    fn failed(name: &MachineName, why: &str) -> Self {
        Self { error: Some(without_secrets(why)), ..Self::new(name, Would::Fail, None) }
    }
}

fn dry_run(
    context: &Context,
    nix: &Nix,
    flake: &HostFlake,
    given: &Apply,
    source: &SourceArguments,
) -> Result<()> {
    let strategy = given.activation.strategy.map(arguments::strategy);
    let source = SourceArguments { flake: None, ..*source };
    let overview = Overview::gather(context)?;
    let starts = |name: &MachineName| {
        let container = overview.containers.get(name);
        !given.no_start && container.is_some_and(|one| one.autostart && !one.runs() && !one.masked)
    };
    let one = |(name, part): (&MachineName, &Part)| match part {
        Part::Create => WouldApply::new(name, Would::Create, None),
        Part::Leave(why) => WouldApply::new(name, Would::Skip, Some(why.clone())),
        Part::Conflict(why) => WouldApply::failed(name, why),
        Part::Gone if given.prune && flake.at.stale.is_none() => WouldApply::new(name, Would::Remove, None),
        Part::Gone if given.prune => {
            let why = "it would not be removed, since the flake could not be refreshed";
            WouldApply::new(name, Would::Gone, Some(why.to_owned()))
        }
        Part::Gone => WouldApply::new(name, Would::Gone, Some("--prune would remove it".to_owned())),
        Part::Update => match plan(context, nix, name, (&source, None), strategy, (true, given.retry)) {
            Ok(planned) if planned.skipped.is_some() => WouldApply::new(name, Would::Skip, planned.skipped),
            Ok(planned) if planned.changes => WouldApply::new(name, Would::Update, planned.reason),
            Ok(_) if starts(name) => WouldApply::new(name, Would::Start, None),
            Ok(_) => WouldApply::new(name, Would::Nothing, None),
            Err(error) => WouldApply::failed(name, &format!("{error:#}")),
        },
    };
    let all: Vec<WouldApply> = flake.parts.iter().map(one).collect();
    if context.json {
        context.screen.print_json(&all)?;
    } else if all.is_empty() {
        nothing(context, flake);
    } else {
        context.screen.print(&table_of(&all, context.color))?;
    }
    let unusable = unusable(context, flake);
    match given.several.exit_code && all.iter().any(|one| one.changed) {
        _ if unusable || all.iter().any(|one| one.error.is_some()) => Err(Failed::Silent.into()),
        true => Err(Failed::WouldChange.into()),
        false => Ok(()),
    }
}

fn table_of(all: &[WouldApply], color: bool) -> String {
    let row = |one: &WouldApply| {
        let (word, tone) = match one.would {
            Would::Create => ("create", Tone::Good),
            Would::Update => ("update", Tone::Good),
            Would::Start => ("start", Tone::Good),
            Would::Nothing => ("nothing", Tone::Plain),
            Would::Skip => ("skip", Tone::Doubtful),
            Would::Gone => ("gone", Tone::Doubtful),
            Would::Remove => ("remove", Tone::Bad),
            Would::Fail => ("fail", Tone::Bad),
        };
        let reason = one.error.as_ref().or(one.reason.as_ref()).cloned().unwrap_or_default();
        vec![Cell::plain(one.name.as_str()), Cell::new(word, tone), Cell::plain(reason)]
    };
    let rows: Vec<Vec<Cell>> = all.iter().map(row).collect();
    table::table(&["NAME", "WOULD", "REASON"], &rows, color)
}
