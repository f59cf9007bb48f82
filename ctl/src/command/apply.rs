//! `apply`: makes the containers of this host what a flake says.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::interrupt;
use crate::base::output::Tone;
use crate::base::table;
use crate::base::table::Cell;
use crate::change::apply;
use crate::change::apply::ApplyOptions;
use crate::change::host_flake::{HostFlake, look};
use crate::change::plan::plan;
use crate::change::summary::summarize;
use crate::change::update_options::UpdateOptions;
use crate::change::updated::{UpdateResult, Updated};
use crate::cli::Apply;
use crate::command::begin::begin;
use crate::command::several::machine_names;
use crate::command::{arguments, updated};
use crate::decision::host_flake::Part;
use crate::fact::installation;
use crate::host::lock::Lock;
use crate::nix::source::SourceArguments;
use crate::nix::tool::Nix;

/// Runs the command.
pub(crate) fn run(context: &Context, given: &Apply) -> Result<()> {
    let names = machine_names(&given.names)?;
    let source = SourceArguments {
        flake: given.flake.as_deref(),
        system: given.system.as_deref(),
        nix_args: &given.nix_args,
        ..SourceArguments::default()
    };
    if !given.several.dry_run {
        begin(context, "apply")?;
    }
    context.need_systemd()?;
    installation::check(context)?;
    let build_limit = arguments::limit("--build-timeout", given.several.build_timeout.as_ref())?;
    let nix = Nix::find(context)?.refreshing(!given.no_refresh).building_at_most(build_limit);
    if given.several.dry_run {
        let flake = look(context, &nix, &source, &names)?;
        return dry_run(context, &nix, &flake, given, &source);
    }
    // Two at once would create the same containers.
    let _lock = Lock::apply(context)?;
    let flake = look(context, &nix, &source, &names)?;
    let options = ApplyOptions {
        update: UpdateOptions {
            // What is recorded names the flake and its attribute.
            source: SourceArguments { flake: None, ..source },
            activation: arguments::activation(&given.activation)?,
            consent: arguments::consent(given.several.allow_host_changes.as_deref()),
            allow_taken_ports: given.several.allow_taken_ports,
            all: true,
            retry: given.retry,
        },
        prune: given.prune,
        start: !given.no_start,
        limits: arguments::limits(&given.several),
    };
    let results = apply::apply(context, &nix, &flake, &options);
    if names.is_empty() {
        summarize(context, &results);
    }
    report(context, &flake, results)
}

/// The result for a container.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Applied {
    #[serde(flatten)]
    updated: Updated,
    /// Whether the container was changed.
    changed: bool,
}

impl Applied {
    fn of(updated: Updated) -> Self {
        let changed = matches!(
            updated.result,
            UpdateResult::Created | UpdateResult::Updated | UpdateResult::Started | UpdateResult::Removed
        );
        Self { updated, changed }
    }
}

fn report(context: &Context, flake: &HostFlake, results: Vec<Updated>) -> Result<()> {
    let failed = results.iter().any(|one| one.error.is_some());
    if context.json {
        results.iter().filter_map(updated::error_line).for_each(|line| context.screen.tell(&line));
        context.screen.print_json(&results.into_iter().map(Applied::of).collect::<Vec<_>>())?;
    } else if results.is_empty() {
        context.screen.tell(&format!("{}: has no containers for this host", flake.reference));
    } else {
        context.screen.print(&updated::table(&results, context.color))?;
    }
    interrupt::check()?;
    let unnamed = unnamed(context, flake);
    if failed || unnamed { Err(Failed::Silent.into()) } else { Ok(()) }
}

/// Tells which names in the flake are not names of containers. Returns whether there are any.
fn unnamed(context: &Context, flake: &HostFlake) -> bool {
    for (name, why) in &flake.unnamed {
        let reference = &flake.reference;
        context.screen.tell(&format!("{reference}: nixosContainers.{name} is not created: {why}"));
    }
    !flake.unnamed.is_empty()
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
        let changed = matches!(would, Would::Create | Would::Update | Would::Remove);
        Self { name: name.clone(), would, changed, reason, error: None }
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
    let one = |(name, part): (&MachineName, &Part)| match part {
        Part::Create => WouldApply::new(name, Would::Create, None),
        Part::Leave(why) => WouldApply::new(name, Would::Skip, Some(why.clone())),
        Part::Gone if given.prune => WouldApply::new(name, Would::Remove, None),
        Part::Gone => WouldApply::new(name, Would::Gone, Some("--prune would remove it".to_owned())),
        Part::Update => match plan(context, nix, name, &source, strategy, (true, given.retry)) {
            Ok(planned) if planned.skipped.is_some() => WouldApply::new(name, Would::Skip, planned.skipped),
            Ok(planned) if planned.changes => WouldApply::new(name, Would::Update, planned.reason),
            Ok(_) => WouldApply::new(name, Would::Nothing, None),
            Err(error) => {
                let error = Some(format!("{error:#}"));
                WouldApply { error, ..WouldApply::new(name, Would::Fail, None) }
            }
        },
    };
    let all: Vec<WouldApply> = flake.parts.iter().map(one).collect();
    if context.json {
        context.screen.print_json(&all)?;
    } else {
        context.screen.print(&table_of(&all, context.color))?;
    }
    let unnamed = unnamed(context, flake);
    match given.several.exit_code && all.iter().any(|one| one.changed) {
        _ if unnamed || all.iter().any(|one| one.error.is_some()) => Err(Failed::Silent.into()),
        true => Err(Failed::WouldChange.into()),
        false => Ok(()),
    }
}

fn table_of(all: &[WouldApply], color: bool) -> String {
    let row = |one: &WouldApply| {
        let (word, tone) = match one.would {
            Would::Create => ("create", Tone::Good),
            Would::Update => ("update", Tone::Good),
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
