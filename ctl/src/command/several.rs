//! Commands for one or several containers, which are handled one after the other. A failure does not affect the others.

use std::collections::BTreeSet;

use anyhow::{Error, Result};
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;
use serde_json::{Value, json};

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::command::begin::settle;
use crate::fact::lookup::machine_name;

/// Returns the names of containers as given, each once.
pub(crate) fn machine_names(given: &[String]) -> Result<Vec<MachineName>> {
    let mut names: Vec<MachineName> = given.iter().map(|text| machine_name(text)).collect::<Result<_>>()?;
    let mut seen = BTreeSet::new();
    names.retain(|name| seen.insert(name.clone()));
    Ok(names)
}

/// Answers for each item, with its value for scripts and its text for people. In JSON, the answer for one container is an
/// object, and for several a list with an object for each, which is `name` and `error` where it failed.
pub(crate) fn each<T, A: Serialize>(
    context: &Context,
    items: &[T],
    name: impl Fn(&T) -> &MachineName,
    mut one: impl FnMut(&T) -> Result<(A, String)>,
) -> Result<()> {
    if let [item] = items {
        let (answer, text) = one(item)?;
        return context.answer(&answer, |_| text);
    }
    let mut answers: Vec<Value> = Vec::new();
    let mut failures = Vec::new();
    for item in items {
        let mut run = || one(item).map_err(|error| still(context, error));
        let mut done = run();
        if done.as_ref().is_err_and(may_try_again) {
            settle(context, &[]);
            done = run();
        }
        match done {
            Ok((answer, _)) if context.json => answers.push(serde_json::to_value(answer)?),
            Ok((_, text)) => context.screen.print(&text)?,
            Err(error) => {
                answers.push(json!({ "name": name(item), "error": format!("{error:#}") }));
                failures.push(error);
            }
        }
    }
    if context.json {
        context.screen.print_json(&answers)?;
    }
    told(context, failures).map_err(settled)
}

/// Prints failures, the last as the error of the command, which decides the exit code.
pub(crate) fn told(context: &Context, mut failures: Vec<Error>) -> Result<()> {
    // What has the same reason everywhere, such as an interrupt, is said once.
    failures.dedup_by_key(|error| format!("{error:#}"));
    let last = failures.pop();
    for error in failures {
        context.screen.tell(&format!("{:#}", still(context, error)));
    }
    last.map_or(Ok(()), |error| Err(still(context, error)))
}

/// Returns an error as it is, unless it is of a container that could not be settled.
pub(crate) fn still(context: &Context, error: Error) -> Error {
    let Some(Failed::Unsettled(name)) = error.downcast_ref::<Failed>() else { return error };
    match context.unsettled.borrow().get(name) {
        Some(code) => Failed::StillUnsettled { name: name.clone(), code: *code }.into(),
        None => error,
    }
}

/// Returns whether it failed only because a command that we waited for was killed.
pub(crate) fn may_try_again(error: &Error) -> bool {
    matches!(error.downcast_ref::<Failed>(), Some(Failed::Unsettled(_)))
}

/// Keeps the whole command from being run again, as it is for one container.
fn settled(error: Error) -> Error {
    if may_try_again(&error) { Failed::Program(format!("{error:#}")).into() } else { error }
}
