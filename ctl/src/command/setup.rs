//! `setup`: installs the generator where no package has done so; `setup --remove` removes it. Each step is printed
//! when it is done.

use anyhow::Result;
use nixos_nspawn_units::store::{DIRECTORY, HOST_FILE};
use serde::Serialize;

use crate::base::context::Context;
use crate::change::setup;
use crate::change::setup::{SetupOptions, SetupStep};
use crate::cli::Setup;
use crate::command::begin::begin;
use crate::host::auto_update::TIMER_UNIT;
use crate::host::networkd::NETWORKD;
use crate::host::networkd_conf;
use crate::nix::files::FILES;

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Setup) -> Result<()> {
    let Setup { remove, networkd, dry_run, .. } = *arguments;
    if !dry_run {
        context.need_root("setup")?;
        if remove {
            begin(context, "setup")?;
        }
    }
    context.need_systemd()?;
    let mut answer = SetupAnswer { dry_run, steps: Vec::new() };
    let mut done = |step: SetupStep| {
        if !context.json {
            context.screen.print(&(text(&step, dry_run) + "\n"))?;
        }
        answer.steps.push(SetupEntry::of(&step));
        Ok(())
    };
    match remove {
        true => setup::remove(context, dry_run, &mut done)?,
        false => {
            let auto_update = arguments.auto_update.as_ref().map(Option::as_deref);
            setup::install(context, SetupOptions { networkd, auto_update, dry_run }, &mut done)?;
        }
    }
    if context.json { context.screen.print_json(&answer) } else { Ok(()) }
}

/// What was or would be done, as scripts see it.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct SetupAnswer {
    dry_run: bool,
    steps: Vec<SetupEntry>,
}

/// A step.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct SetupEntry {
    action: &'static str,
    /// Paths, a unit or containers.
    targets: Vec<String>,
}

impl SetupEntry {
    fn of(step: &SetupStep) -> Self {
        let (action, targets) = match step {
            SetupStep::Keep(present) => ("keep", vec![present.display().to_string()]),
            SetupStep::Install(places) => {
                let places = [&places.generator, &places.helper, &places.files];
                ("install", places.map(|path| path.display().to_string()).into())
            }
            SetupStep::Record(_) => ("record", vec![HOST_FILE.to_owned()]),
            SetupStep::ConfigureNetworkd => ("install", vec![networkd_conf::PATH.to_owned()]),
            SetupStep::EnableNetworkd => ("enable", vec![NETWORKD.to_owned()]),
            SetupStep::ReleaseNetworkd { .. } => ("delete", vec![networkd_conf::PATH.to_owned()]),
            SetupStep::EnableUpdates => ("enable", vec![TIMER_UNIT.to_owned()]),
            SetupStep::DisableUpdates => ("disable", vec![TIMER_UNIT.to_owned()]),
            SetupStep::NothingInstalled => ("delete", Vec::new()),
            SetupStep::Stop(name) => ("stop", vec![name.to_string()]),
            SetupStep::Delete { paths, .. } => {
                ("delete", paths.iter().map(|path| path.display().to_string()).collect())
            }
        };
        Self { action, targets }
    }
}

fn text(step: &SetupStep, dry_run: bool) -> String {
    match step {
        SetupStep::Keep(present) => {
            format!("{}: the generator is installed by a package, nothing to do", present.display())
        }
        SetupStep::Install(places) => {
            let [source, generator, helper, files] =
                [&places.source, &places.generator, &places.helper, &places.files].map(|path| path.display());
            if dry_run {
                format!(
                    "would copy {source} to {helper} and {generator}\nwould write {} files for Nix to {files}\n\
                     would run systemctl daemon-reload",
                    FILES.len()
                )
            } else {
                format!("{generator} {} is installed, and {helper}, and {files}", places.version)
            }
        }
        SetupStep::Record(host) => {
            let limit = match host.boot_limit {
                Some(limit) => format!("at most {} containers start at the same time at boot", limit.get()),
                None => "no limit on containers that start at boot".to_owned(),
            };
            let would = if dry_run { "would write " } else { "" };
            format!("{would}{HOST_FILE}: systemd {}, {limit}", host.systemd)
        }
        SetupStep::ConfigureNetworkd => {
            let verb = if dry_run { "would be" } else { "is" };
            format!(
                "{} {verb} installed, so that systemd-networkd keeps the rules, routes and nexthops of other programs",
                networkd_conf::PATH
            )
        }
        SetupStep::ReleaseNetworkd { .. } if dry_run => format!("would delete {}", networkd_conf::PATH),
        SetupStep::ReleaseNetworkd { runs: false } => format!("{} is removed", networkd_conf::PATH),
        SetupStep::ReleaseNetworkd { runs: true } => format!(
            "{} is removed; systemd-networkd stays on, and deletes the rules, routes and nexthops of other programs \
             from its next start on; if nothing needs it, run 'systemctl disable --now {NETWORKD}'",
            networkd_conf::PATH
        ),
        SetupStep::EnableNetworkd if dry_run => format!("would enable and start {NETWORKD}"),
        SetupStep::EnableNetworkd => "systemd-networkd is enabled and running".to_owned(),
        SetupStep::EnableUpdates if dry_run => format!("would install, enable and start {TIMER_UNIT}"),
        SetupStep::EnableUpdates => {
            format!("{TIMER_UNIT} is enabled; 'systemctl list-timers' shows its next run")
        }
        SetupStep::DisableUpdates if dry_run => format!("would disable and delete {TIMER_UNIT}"),
        SetupStep::DisableUpdates => format!("{TIMER_UNIT} is removed"),
        SetupStep::NothingInstalled => "setup has installed nothing here, nothing to do".to_owned(),
        SetupStep::Stop(name) if dry_run => format!("would stop container '{name}'"),
        SetupStep::Stop(name) => format!("container '{name}' is stopped"),
        SetupStep::Delete { paths, .. } if dry_run => {
            paths.iter().map(|path| format!("would delete {}", path.display())).collect::<Vec<_>>().join("\n")
        }
        SetupStep::Delete { records: 0, .. } => "the generator is removed".to_owned(),
        SetupStep::Delete { records, .. } => {
            format!("the generator is removed; {records} records stay in {DIRECTORY}")
        }
    }
}
