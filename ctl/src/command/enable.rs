//! `enable` and `disable`: whether a container starts with the host.

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::enable;
use crate::change::enable::Setting;
use crate::cli::Changed;
use crate::command::begin::begin;
use crate::command::several::{each, machine_names};

/// Runs `enable`.
pub(crate) fn enable(context: &Context, arguments: &Changed) -> Result<()> {
    set(context, arguments, "enable", true)
}

/// Runs `disable`.
pub(crate) fn disable(context: &Context, arguments: &Changed) -> Result<()> {
    set(context, arguments, "disable", false)
}

fn set(context: &Context, arguments: &Changed, command: &str, wanted: bool) -> Result<()> {
    let names = machine_names(&arguments.names)?;
    let dry_run = arguments.dry_run;
    if !dry_run {
        begin(context, command)?;
        if context.live() {
            context.need_systemd()?;
        }
    }
    each(
        context,
        &names,
        |name| name,
        |name| {
            let setting = if dry_run {
                enable::would_set(context, name, wanted)
            } else {
                enable::set(context, name, wanted)
            }?;
            let Setting { changed, masked, .. } = setting;
            if wanted && masked {
                let unit = unit_name(name);
                context.screen.tell(&format!(
                    "{unit} is masked, so it will not start; run 'systemctl unmask {unit}' first"
                ));
            }
            let how = if dry_run { would(setting, wanted) } else { words(setting, wanted) };
            let answer = EnableAnswer { name: name.clone(), dry_run, autostart: wanted, changed, masked };
            Ok((answer, format!("container '{name}' {how}\n")))
        },
    )
}

/// The setting, as scripts see it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct EnableAnswer {
    name: MachineName,
    /// Whether nothing was done.
    dry_run: bool,
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

/// Describes what would be done.
fn would(setting: Setting, wanted: bool) -> &'static str {
    match (setting.changed, wanted) {
        (false, _) => words(setting, wanted),
        (true, true) => "would start with the host",
        (true, false) => "would not start with the host",
    }
}
