//! What must be known about another host before something is built for it.

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::name::MachineName;
use serde::Deserialize;
use serde_json::Value;

use crate::base::call::{Ended, Messages};
use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::remote::{Rights, Target};
use crate::host::ssh;

/// A container of the host.
#[derive(Debug, Deserialize)]
pub(super) struct Recorded {
    pub(super) name: MachineName,
    #[serde(default)]
    pub(super) source: Option<Source>,
}

/// Runs a command on the host that only reads. Fails if there is no connection.
fn asked(context: &Context, target: &Target, words: &[&str], asks: bool) -> Result<Ended> {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let ended = ssh::call(context, target, &words, Rights::Own, asks).ended_with(Messages::Kept)?;
    match ended.status.code() {
        Some(ssh::NO_CONNECTION) | None => Err(ssh::unreachable(target, &ended.stderr).into()),
        Some(_) => Ok(ended),
    }
}

/// Returns what a command prints on the host.
pub(super) fn ask(context: &Context, target: &Target, words: &[&str], asks: bool) -> Result<String> {
    let Ended { status, stdout, stderr } = asked(context, target, words, asks)?;
    match status.success() {
        true => Ok(stdout),
        false => Err(Failed::Program(format!("{target}: {}", stderr.trim())).into()),
    }
}

/// Asks the host for the sources of containers.
pub(super) fn recorded(
    context: &Context,
    target: &Target,
    names: &[String],
    all: bool,
    asks: bool,
) -> Result<Vec<Recorded>> {
    let mut names: Vec<String> = names.to_vec();
    if all {
        let listed = ask(context, target, &["list", "--json", "--type", "imperative"], asks)?;
        let listed: Vec<Recorded> = serde_json::from_str(&listed).context("unexpected answer of 'list'")?;
        names = listed.into_iter().map(|one| one.name.to_string()).collect();
    }
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let words: Vec<&str> = ["show", "--json"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let shown = asked(context, target, &words, asks)?;
    if !shown.status.success() && shown.stdout.is_empty() {
        // There is no such container, and the command says so in its own words.
        return Ok(Vec::new());
    }
    let shown: Value = serde_json::from_str(&shown.stdout).context("unexpected answer of 'show'")?;
    let shown = if shown.is_array() { shown } else { Value::Array(vec![shown]) };
    serde_json::from_value(shown).context("unexpected answer of 'show'")
}

/// Asks for the Nix system of a host.
pub(super) fn system(context: &Context, target: &Target, asks: bool) -> Result<String> {
    let program = context.program("ssh").args(ssh::words(target, false, asks, "uname -m"));
    let machine = if asks { program.may_ask() } else { program }.output()?;
    Ok(format!("{}-linux", machine.trim()))
}
