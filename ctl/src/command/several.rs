//! Commands for one or several containers, which are handled one after the other. A failure does not affect the others.

use anyhow::{Error, Result};
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;
use serde_json::{Value, json};

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::fact::lookup::machine_name;

/// Returns the names of containers as given, each once.
pub(crate) fn machine_names(given: &[String]) -> Result<Vec<MachineName>> {
    let mut names: Vec<MachineName> = Vec::with_capacity(given.len());
    for text in given {
        let name = machine_name(text)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
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
        let mut done = one(item);
        if done.as_ref().is_err_and(|error| may_try_again(context, error)) {
            done = one(item);
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
    told(context, failures).map_err(|error| settled(context, error))
}

/// Prints failures, the last as the error of the command, which decides the exit code.
pub(crate) fn told(context: &Context, mut failures: Vec<Error>) -> Result<()> {
    let last = failures.pop();
    for error in failures {
        context.screen.tell(&format!("{error:#}"));
    }
    last.map_or(Ok(()), Err)
}

/// Returns whether it failed only because a command that we waited for was killed.
fn may_try_again(context: &Context, error: &Error) -> bool {
    match error.downcast_ref::<Failed>() {
        Some(Failed::Unsettled { name, .. }) => !context.unsettled.borrow().contains_key(name),
        _ => false,
    }
}

/// Keeps the whole command from being run again, as it is for one container.
fn settled(context: &Context, error: Error) -> Error {
    if may_try_again(context, &error) { Failed::Program(format!("{error:#}")).into() } else { error }
}
