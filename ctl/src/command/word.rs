//! `start`, `stop`, `restart`, `shell`, `run`, `logs` and `ssh-host-key`: each checks the name and becomes a command of
//! systemd. Nothing of ours stays behind it. `ip` prints the addresses.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exec::exec;
use crate::base::exit::{Failed, refuse};
use crate::cli::{Logs, Run, Shell, Show, Units};
use crate::command::begin::begin;
use crate::command::several::machine_names;
use crate::decision::word::{LogsOf, Word, command};
use crate::fact::lookup::{all_seen, find, machine_name, no_such};
use crate::host::{addresses, machined, registration};

/// Runs `start`, `stop` or `restart`.
pub(crate) fn units(context: &Context, verb: &'static str, arguments: &Units) -> Result<()> {
    let names = machine_names(&arguments.names)?;
    no_json(context, verb)?;
    context.need_systemd()?;
    names.iter().try_for_each(|name| known(context, name))?;
    let words = command(&Word::Units { verb, names });
    if arguments.dry_run {
        return context.screen.print(&format!("would run '{}'\n", words.join(" ")));
    }
    begin(context, verb)?;
    exec(context, &words)
}

/// Runs `shell`.
pub(crate) fn shell(context: &Context, arguments: &Shell) -> Result<()> {
    let (user, name) = match arguments.name.rsplit_once('@') {
        Some(("", _)) => return Err(Failed::Usage("a user is missing before '@'".to_owned()).into()),
        Some((user, name)) => (Some(user.to_owned()), name),
        None => (None, arguments.name.as_str()),
    };
    let name = machine_name(name)?;
    no_json(context, "shell")?;
    running(context, &name, "shell")?;
    exec(context, &command(&Word::Shell { name, user }))
}

/// Runs `run`.
pub(crate) fn run(context: &Context, arguments: &Run) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    no_json(context, "run")?;
    running(context, &name, "run")?;
    exec(context, &command(&Word::Run { name, command: arguments.command.clone() }))
}

/// Runs `logs`.
pub(crate) fn logs(context: &Context, arguments: &Logs) -> Result<()> {
    let Logs { follow, lines, ref unit, outside, .. } = *arguments;
    let name = machine_name(&arguments.name)?;
    context.need_systemd()?;
    known(context, &name)?;
    let of = match unit {
        None if outside || registration::leader(context, &name).is_none() => LogsOf::Host,
        unit => {
            running(context, &name, "logs")?;
            LogsOf::Inside(unit.clone())
        }
    };
    exec(context, &command(&Word::Logs { name, of, follow, lines, json: context.json }))
}

/// Runs `ssh-host-key`.
pub(crate) fn ssh_host_key(context: &Context, arguments: &Show) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    no_json(context, "ssh-host-key")?;
    running(context, &name, "ssh-host-key")?;
    exec(context, &command(&Word::SshHostKey { name }))
}

/// The addresses of a container, as scripts see them.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct IpAnswer {
    name: MachineName,
    /// IPv4, IPv6, then those of the link.
    addresses: Vec<String>,
}

/// Runs `ip`.
pub(crate) fn ip(context: &Context, arguments: &Show) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    context.need_systemd()?;
    known(context, &name)?;
    must_run(context, &name)?;
    let addresses = match addresses::addresses(context, &name) {
        Some(addresses) => addresses,
        None => machined::all_addresses(context)?.remove(&name).unwrap_or_default(),
    };
    if addresses.is_empty() {
        return refuse(format!("container '{name}' has no address of its own"));
    }
    let text = |answer: &IpAnswer| answer.addresses.join("\n") + "\n";
    context.answer(&IpAnswer { name, addresses }, text)
}

/// Refuses `--json` where the output is that of another program, or none.
fn no_json(context: &Context, verb: &str) -> Result<()> {
    if context.json {
        return Err(Failed::Usage(format!("'{verb}' prints no JSON; leave out --json")).into());
    }
    Ok(())
}

/// Refuses a container that does not exist. One with a broken intent does.
fn known(context: &Context, name: &MachineName) -> Result<()> {
    let loaded = context.load_one(name);
    if find(&loaded, name).is_some() {
        return Ok(());
    }
    all_seen(&loaded)?;
    Err(no_such(name))
}

/// Refuses a container that a root user of the host cannot enter now.
fn running(context: &Context, name: &MachineName, verb: &str) -> Result<()> {
    context.need_systemd()?;
    known(context, name)?;
    context.need_root(verb)?;
    must_run(context, name)
}

/// Refuses a container that does not run.
fn must_run(context: &Context, name: &MachineName) -> Result<()> {
    if registration::leader(context, name).is_some() {
        return Ok(());
    }
    refuse(format!("container '{name}' is not running; 'nixos-nspawn start {name}' starts it"))
}
