//! `enable` and `disable`: whether a container starts with the host; with `--now`, it is started or stopped as well.

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use serde::Serialize;

use crate::base::context::Context;
use crate::change::enable::Setting;
use crate::change::{enable, now};
use crate::cli::{Changed, Enable};
use crate::command::begin::begin;
use crate::command::groups::Groups;
use crate::command::several::{each, machine_names};

/// Runs `enable`.
pub(crate) fn enable(context: &Context, arguments: &Enable) -> Result<()> {
    set(context, arguments, "enable", true)
}

/// Runs `disable`.
pub(crate) fn disable(context: &Context, arguments: &Enable) -> Result<()> {
    set(context, arguments, "disable", false)
}

fn set(context: &Context, arguments: &Enable, command: &str, wanted: bool) -> Result<()> {
    let Enable { changed: Changed { names, dry_run }, now: at_once } = arguments;
    let (names, dry_run, at_once) = (machine_names(names)?, *dry_run, *at_once);
    if at_once {
        context.need_live(&format!("{command} --now"))?;
    }
    if !dry_run {
        begin(context, command)?;
    }
    if context.live() && (at_once || !dry_run) {
        context.need_systemd()?;
    }
    let mut groups = Groups::new(&names, dry_run);
    each(
        context,
        &names,
        |name| name,
        |name| {
            let set = if dry_run { enable::would_set_all } else { enable::set_all };
            let setting = groups.result(name, |group| set(context, group, wanted))?;
            let Setting { changed, masked, .. } = setting;
            if wanted && masked {
                let unit = unit_name(name);
                context.screen.tell(&format!(
                    "{unit} is masked, so it will not start; run 'systemctl unmask {unit}' first"
                ));
            }
            let how = if dry_run { would(setting, wanted) } else { words(setting, wanted) };
            // Something may change by --now.
            let how = if at_once { how.trim_end_matches(UNCHANGED) } else { how };
            let acted = match (at_once, dry_run) {
                (false, _) => false,
                (true, true) => now::would(context, name, wanted)?,
                (true, false) => {
                    now::now(context, name, wanted).with_context(|| not_now(name, how, wanted))?
                }
            };
            let text = format!("container '{name}' {how}{}\n", also(at_once, acted, dry_run, wanted));
            let (started, stopped) = (acted && wanted, acted && !wanted);
            let answer = EnableAnswer {
                name: name.clone(),
                dry_run,
                autostart: wanted,
                changed,
                masked,
                started,
                stopped,
            };
            Ok((answer, text))
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
    /// Whether it did not run, and is started.
    started: bool,
    /// Whether it was running, and is stopped.
    stopped: bool,
}

/// Describes what `--now` did, or would do, after the setting.
fn also(at_once: bool, acted: bool, dry_run: bool, wanted: bool) -> &'static str {
    match (at_once, acted, dry_run, wanted) {
        (false, ..) => "",
        (true, true, true, true) => ", and would be started",
        (true, true, true, false) => ", and would be stopped",
        (true, true, false, true) => ", and was started",
        (true, true, false, false) => ", and was stopped",
        (true, false, _, true) => ", and is running already",
        (true, false, _, false) => ", and is stopped already",
    }
}

/// Describes a failure of `--now`, which the setting survives.
fn not_now(name: &MachineName, how: &str, wanted: bool) -> String {
    let act = if wanted { "started" } else { "stopped" };
    format!("container '{name}' {how}, but was not {act}")
}

/// The end of a text if nothing was changed.
const UNCHANGED: &str = ", nothing changed";

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
