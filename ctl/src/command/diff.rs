//! `diff`: shows what differs between two generations of a container: options, generated files and closure. People
//! get a unified diff, which every diff tool reads; scripts get values as well. It changes nothing and runs nothing
//! of the container.

use anyhow::Result;
use nixos_nspawn_units::intent::{Intent, Overrides};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::reach::{Changes, changes};
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::output::{Tone, painted};
use crate::cli::Diff;
use crate::decision::overrides::{lines as layer_lines, over};
use crate::fact::difference::{Difference, between};
use crate::fact::generations::{Generation, generations};
use crate::fact::lookup::{machine_name, numbered, readable};
use crate::nix::profile;

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Diff) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    let recorded = readable(context, &name)?;
    let all = generations(context, &name, &recorded)?;
    let current = || {
        let number = recorded.generation.ok_or_else(|| {
            Failed::Usage(format!("container '{name}' has no current generation; name two by number"))
        })?;
        numbered(&all, &name, number)
    };
    let new = arguments.to.map_or_else(current, |number| numbered(&all, &name, number))?;
    let old = match arguments.from {
        Some(number) => numbered(&all, &name, number)?,
        None => all.iter().rfind(|one| one.number < new.number).ok_or_else(|| {
            let number = new.number;
            Failed::Usage(format!("container '{name}' has no generation before {number}, nothing to compare"))
        })?,
    };
    let [before, after] = [intent(context, &name, &recorded, old)?, intent(context, &name, &recorded, new)?];
    let difference = between(context, &name, &before, &after)?;
    if difference.lines().is_empty() {
        let (old, new) = (old.number, new.number);
        context.screen.tell(&format!(
            "generations {old} and {new} of container '{name}' have the same options and files"
        ));
    }
    if !context.live() {
        context.screen.tell("the closures were not compared, which needs Nix and does not work with --root");
    }
    let compared = Compared {
        name,
        old_generation: old.number,
        generation: new.number,
        changes: !difference.is_empty(),
        difference,
        host_reach: changes(&before.container, &after.container),
        overrides: recorded.overrides,
    };
    context.answer(&compared, |compared| text(compared, context.color))
}

/// The differences of two generations, as scripts see them.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Compared {
    name: MachineName,
    old_generation: u64,
    generation: u64,
    changes: bool,
    #[serde(flatten)]
    difference: Difference,
    /// What changes in the container's reach into the host.
    host_reach: Changes,
    /// What the administrator has set over both.
    overrides: Overrides,
}

fn text(compared: &Compared, color: bool) -> String {
    let Compared { old_generation, generation, changes, difference, host_reach, overrides, name: _ } =
        compared;
    if !changes {
        return String::new();
    }
    let mut lines = difference.lines();
    if let Some(text) = &difference.closure {
        // A line of its own separates it for tools that read diffs.
        lines.push("closure:");
        lines.extend(text.lines());
    }
    let reach = host_reach.lines();
    if !reach.is_empty() {
        lines.push("host reach:");
        lines.extend(reach.iter().map(String::as_str));
    }
    let layer = layer_lines(overrides);
    if !layer.is_empty() {
        lines.push("set on this host, over both:");
        lines.extend(layer.iter().map(String::as_str));
    }
    let head = painted(&format!("generation {old_generation} -> {generation}"), Tone::Strong, color);
    lines.iter().fold(head + "\n", |text, line| text + &coloured(line, color) + "\n")
}

/// Returns the intent that a generation of the container would be recorded with.
fn intent(
    context: &Context,
    name: &MachineName,
    recorded: &Intent,
    generation: &Generation,
) -> Result<Intent> {
    let Generation { number, path, toplevel, current, .. } = generation;
    if *current {
        return Ok(recorded.clone());
    }
    if toplevel.is_none() {
        anyhow::bail!(
            "generation {number} of container '{name}': {path} is gone from the store, so it cannot be compared"
        );
    }
    let built = profile::read(context, path, name)?;
    let container = over(&recorded.overrides, &built.container).map_err(anyhow::Error::msg)?;
    let mut intent = Intent { toplevel: built.toplevel, container, ..recorded.clone() };
    intent.generation = Some(*number);
    // As when it is recorded, the administrator's default is resolved.
    if intent.container.timeout_start_sec.is_none() {
        intent.container.timeout_start_sec.clone_from(&context.config.timeout_start_sec);
    }
    Ok(intent)
}

fn coloured(line: &str, color: bool) -> String {
    let tone = match line.as_bytes().first() {
        Some(b'+') => Tone::Good,
        Some(b'-') => Tone::Bad,
        Some(b'@') => Tone::Doubtful,
        _ => Tone::Plain,
    };
    painted(line, tone, color)
}
