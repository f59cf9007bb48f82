//! `check NAME`: checks the health of a running container as an update would: the state inside, services that
//! restart in a loop, and the stored command. Changes nothing.

use anyhow::Result;
use nixos_nspawn_units::plan::plan_some;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::change::gate;
use crate::change::gate::Before;
use crate::cli::Check;
use crate::command::arguments;
use crate::fact::lookup::{Found, all_seen, find, machine_name, no_such};
use crate::host::host_file;

/// The answer for scripts: the health of a container.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct CheckAnswer<'a> {
    name: &'a str,
    healthy: bool,
    /// What is wrong.
    error: Option<String>,
}

/// Runs the command.
pub(crate) fn run(context: &Context, given: &Check) -> Result<()> {
    let name = machine_name(&given.name)?;
    context.need_root("check")?;
    context.need_systemd()?;
    let loaded = host_file::load(context)?;
    let stored = match find(&loaded, &name) {
        Some(Found::Good(stored)) => stored,
        Some(Found::Broken(error)) => return Err(Failed::refused(error.to_string()).into()),
        None => {
            all_seen(&loaded)?;
            return Err(no_such(&name));
        }
    };
    let plan = plan_some(&loaded, &|one| *one == name);
    let hash = plan.containers.iter().find(|planned| planned.name == name);
    let hash = hash.and_then(|planned| planned.hash.as_deref());
    let expectation = arguments::expectation(&given.expected)?;
    let before = Before::see(context, &name, expectation.limit_for(&stored.intent));
    let gate = expectation.gate(&stored.intent, before.without_loops());
    let passed = gate::healthy(context, &name, hash, &gate);
    let error = passed.as_ref().err().map(|error| format!("{error:#}"));
    let answer = CheckAnswer { name: name.as_str(), healthy: error.is_none(), error };
    if context.json || answer.healthy {
        context.answer(&answer, |_| format!("container '{name}' is healthy\n"))?;
    }
    passed
}
