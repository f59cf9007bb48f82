//! `pin` and `unpin`: protect a generation from deletion and garbage collection, and release it again.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::{Failed, unchanged};
use crate::change::pin;
use crate::change::pin::Pinned;
use crate::cli::Pin;
use crate::command::begin::begin;
use crate::command::several::each;
use crate::fact::lookup::{machine_name, readable};

/// Runs `pin`.
pub(crate) fn pin(context: &Context, arguments: &Pin) -> Result<()> {
    run(context, arguments, "pin", true)
}

/// Runs `unpin`.
pub(crate) fn unpin(context: &Context, arguments: &Pin) -> Result<()> {
    run(context, arguments, "unpin", false)
}

fn run(context: &Context, arguments: &Pin, command: &str, wanted: bool) -> Result<()> {
    let which = which(&arguments.which)?;
    let dry_run = arguments.dry_run;
    context.need_live(command)?;
    if !dry_run {
        begin(context, command)?;
    }
    each(
        context,
        &which,
        |(name, _)| name,
        |(name, number)| {
            let generation = match number {
                Some(number) => *number,
                None => current(context, name)?,
            };
            let done = match (dry_run, wanted) {
                (true, _) => pin::would(context, name, generation, wanted),
                (false, true) => pin::pin(context, name, generation),
                (false, false) => pin::unpin(context, name, generation),
            }?;
            let how = if dry_run { would(wanted, done) } else { words(wanted, done) };
            let Pinned { changed, .. } = done;
            let answer = PinAnswer { name: name.clone(), dry_run, generation, pinned: wanted, changed };
            Ok((answer, format!("generation {generation} of container '{name}' {how}\n")))
        },
    )
}

/// Returns the containers and generations that the words name: a number belongs to the name before it.
fn which(words: &[String]) -> Result<Vec<(MachineName, Option<u64>)>> {
    let mut which: Vec<(MachineName, Option<u64>)> = Vec::new();
    for word in words {
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let is_generation = word.parse::<u64>().is_ok_and(|number| number > 0);
        if digits && !is_generation && matches!(which.last(), Some((_, None))) {
            return Err(Failed::Usage(format!("'{word}' is not the number of a generation")).into());
        }
        match (word.parse::<u64>(), which.last_mut()) {
            (Ok(number), Some((_, generation @ None))) if number > 0 => *generation = Some(number),
            _ => which.push((machine_name(word)?, None)),
        }
    }
    Ok(which)
}

fn current(context: &Context, name: &MachineName) -> Result<u64> {
    match readable(context, name)?.generation {
        Some(generation) => Ok(generation),
        None => unchanged(format!("container '{name}' has no recorded generation"), "name one"),
    }
}

/// What was or would be done, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct PinAnswer {
    name: MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    generation: u64,
    /// Whether it is pinned now.
    pinned: bool,
    /// Whether anything was changed.
    changed: bool,
}

fn words(wanted: bool, done: Pinned) -> &'static str {
    let Pinned { changed, in_profile } = done;
    match (wanted, changed, in_profile) {
        (true, false, _) => "is already pinned",
        (true, true, _) => "is pinned",
        (false, false, _) => "is not pinned",
        (false, true, true) => "is no longer pinned",
        (false, true, false) => "is no longer pinned, and nothing else keeps it",
    }
}

/// Describes what would be done.
fn would(wanted: bool, done: Pinned) -> &'static str {
    let Pinned { changed, in_profile } = done;
    match (wanted, changed, in_profile) {
        (_, false, _) => words(wanted, done),
        (true, true, _) => "would be pinned",
        (false, true, true) => "would no longer be pinned",
        (false, true, false) => "would no longer be pinned, and nothing else keeps it",
    }
}

#[cfg(test)]
mod tests {
    use super::which;

    #[test]
    fn numbers_belong_to_the_name_before_them() {
        let said = |line: &str| {
            let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
            which(&words).map(|all| {
                all.iter().map(|(name, number)| format!("{name}={number:?}")).collect::<Vec<_>>().join(" ")
            })
        };
        assert_eq!(said("web").unwrap(), "web=None");
        assert_eq!(said("web 3 db").unwrap(), "web=Some(3) db=None");
        assert_eq!(said("web db 3").unwrap(), "web=None db=Some(3)");
        // A container may be called by a number.
        assert_eq!(said("1 2 3").unwrap(), "1=Some(2) 3=None");
        for wrong in ["web -1", "web 0", "web 99999999999999999999"] {
            assert!(said(wrong).is_err(), "{wrong}");
        }
    }
}
