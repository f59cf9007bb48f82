//! `enable` and `disable`: whether a container starts with the host.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::enable;
use crate::change::enable::Setting;
use crate::cli::Named;
use crate::command::begin::begin;
use crate::fact::lookup::machine_name;

/// Runs `enable`.
pub(crate) fn enable(context: &Context, arguments: &Named) -> Result<()> {
    set(context, arguments, "enable", true)
}

/// Runs `disable`.
pub(crate) fn disable(context: &Context, arguments: &Named) -> Result<()> {
    set(context, arguments, "disable", false)
}

fn set(context: &Context, arguments: &Named, command: &str, wanted: bool) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    begin(context, command)?;
    if context.live() {
        context.need_systemd()?;
    }
    let setting = enable::set(context, &name, wanted)?;
    let Setting { changed, masked, .. } = setting;
    let answer = EnableAnswer { name: &name, autostart: wanted, changed, masked };
    context.answer(&answer, |_| format!("container '{name}' {}\n", words(setting, wanted)))?;
    if wanted && masked {
        let unit = unit_name(&name);
        context
            .screen
            .tell(&format!("{unit} is masked, so it will not start; run 'systemctl unmask {unit}' first"));
    }
    Ok(())
}

/// The setting, as scripts see it.
#[derive(Debug, Serialize)]
struct EnableAnswer<'a> {
    name: &'a MachineName,
    /// Whether it starts with the host now.
    autostart: bool,
    /// Whether anything was changed.
    changed: bool,
    /// Whether `systemctl mask` prevents it from starting.
    masked: bool,
}

/// Describes the result.
fn words(setting: Setting, wanted: bool) -> &'static str {
    match (wanted, setting) {
        (true, Setting { changed: false, .. }) => "already starts with the host, nothing changed",
        (false, Setting { changed: false, .. }) => "does not start with the host, nothing changed",
        (true, Setting { before: false, .. }) => "now starts with the host",
        (true, Setting { before: true, .. }) => {
            "still starts with the host, now regardless of its own configuration"
        }
        (false, Setting { before: true, .. }) => "no longer starts with the host",
        (false, Setting { before: false, .. }) => {
            "still does not start with the host, now regardless of its own configuration"
        }
    }
}
