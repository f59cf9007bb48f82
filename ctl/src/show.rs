//! `show NAME`: everything known of one container, as text or as one JSON object: what is recorded, what systemd made
//! of it, how far it reaches into the host, and the generated files with their text, from the same plan that the
//! generator writes. Nothing is changed.

use std::fs;

use anyhow::Result;
use nixos_nspawn_units::copies::GENERATOR_DIRECTORY;
use nixos_nspawn_units::intent::{Intent, Source};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Entry, belongs_to};
use nixos_nspawn_units::reach::host_reach;
use nixos_nspawn_units::store::DIRECTORY;
use serde::Serialize;

use crate::cli::Show;
use crate::context::{Context, machine_name, no_such};
use crate::exit::Failed;
use crate::generations::generations;
use crate::in_force;
use crate::inspect::{Container, Overview};
use crate::list::{Summary, tidy};
use crate::output::{print, print_json, tell};
use crate::profile;
use crate::show_text::text;
use crate::systemd::addresses;

/// What `list` tells of the container, and all else.
#[derive(Serialize)]
pub(crate) struct Details<'a> {
    #[serde(flatten)]
    summary: Summary<'a>,
    /// Since when it runs, as systemctl prints it.
    pub(crate) since: Option<&'a str>,
    pub(crate) source: Option<&'a Source>,
    pub(crate) profile: Option<&'a str>,
    /// The administrator's word; null leaves it to the container.
    pub(crate) autostart_override: Option<bool>,
    /// The container's options that differ from their default.
    pub(crate) options: serde_json::Value,
    pub(crate) host_reach: Vec<String>,
    /// What a profile of python-nixos-nspawn has for its own machinery.
    pub(crate) left_out: Vec<String>,
    pub(crate) host_interface: Option<String>,
    pub(crate) addresses: Vec<String>,
    pub(crate) state_directory: String,
    /// The system that runs, which may be another than the recorded one.
    pub(crate) running_toplevel: Option<String>,
    pub(crate) plan: Option<&'a str>,
    pub(crate) loaded_plan: Option<&'a str>,
    pub(crate) running_plan: Option<String>,
    pub(crate) files: Vec<GeneratedFile<'a>>,
}

/// A file or link that the generator makes.
#[derive(Serialize)]
pub(crate) struct GeneratedFile<'a> {
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) link_to: Option<&'a str>,
}

impl<'a> GeneratedFile<'a> {
    /// A file of a plan.
    pub(crate) fn of(path: &str, entry: &'a Entry) -> Self {
        let (text, link_to) = match entry {
            Entry::File(text) => (Some(text.as_str()), None),
            Entry::Link(target) => (None, Some(target.as_ref())),
        };
        GeneratedFile { path: format!("/{GENERATOR_DIRECTORY}/{path}"), text, link_to }
    }
}

/// Runs the command.
pub(crate) fn show(context: &Context, arguments: &Show) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    tidy(context);
    let overview = Overview::gather(context)?;
    let Some(container) = overview.containers.get(&name) else {
        return Err(unknown(context, &overview, &name));
    };
    let details = details(context, &overview, container)?;
    if context.json {
        print_json(&details)?;
    } else {
        print(&text(container, &details, context.color))?;
    }
    for trouble in [&overview.unknown_states, &overview.generator_fault].into_iter().flatten() {
        tell(trouble);
    }
    Ok(())
}

/// What was left out of the profile that is recorded, as far as it can be read.
fn left_out(context: &Context, name: &MachineName, intent: &Intent) -> Vec<String> {
    let current = generations(context, name, intent).into_iter().find(|generation| generation.current);
    let profile = current.and_then(|generation| profile::read(context, &generation.path, name).ok());
    profile.map(|profile| [profile.warnings, profile.left_out].concat()).unwrap_or_default()
}

/// There is no such container, and perhaps why.
pub(crate) fn unknown(context: &Context, overview: &Overview, name: &MachineName) -> anyhow::Error {
    let foreign = ["/etc/systemd/nspawn", "/run/systemd/nspawn"]
        .map(|folder| format!("{folder}/{name}.nspawn"))
        .into_iter()
        .find(|path| fs::symlink_metadata(context.path(path)).is_ok());
    if let Some(path) = foreign {
        let message = format!(
            "there is no container '{name}' in {DIRECTORY}; {path} is not managed by nixos-nspawn ('machinectl cat \
             {name}' shows it)"
        );
        return Failed::Usage(message).into();
    }
    // It may be in the folder that cannot be read.
    match overview.faults.iter().find(|fault| fault.hides) {
        Some(fault) => anyhow::anyhow!("{}", fault.text),
        None => no_such(name),
    }
}

fn details<'a>(context: &Context, overview: &'a Overview, container: &'a Container) -> Result<Details<'a>> {
    let name = &container.name;
    let intent = container.intent.as_ref();
    let state = container.state.as_ref();
    let running = container.runs();
    let link = context.path(format!("/nix/var/nix/gcroots/nixos-nspawn/{name}-running"));
    let toplevel = fs::read_link(link).ok().map(|target| target.to_string_lossy().into_owned());
    let options = match intent {
        Some(Intent { container, .. }) => serde_json::to_value(container)?,
        None => serde_json::Value::Null,
    };
    Ok(Details {
        summary: Summary::of(container),
        since: state.filter(|_| running).and_then(|state| state.since.as_deref()),
        source: intent.and_then(|intent| intent.source.as_ref()),
        profile: intent.and_then(|intent| intent.profile.as_ref()).map(|path| path.as_str()),
        autostart_override: intent.and_then(|intent| intent.autostart),
        options,
        host_reach: intent.map(|intent| host_reach(&intent.container)).unwrap_or_default(),
        left_out: intent.map(|intent| left_out(context, name, intent)).unwrap_or_default(),
        host_interface: intent.and_then(|intent| intent.container.host_interface(name)),
        addresses: if running { addresses(context, name) } else { Vec::new() },
        state_directory: format!("/var/lib/machines/{name}"),
        running_toplevel: toplevel.filter(|_| running),
        plan: container.hash.as_deref(),
        loaded_plan: state.and_then(|state| state.plan.as_deref()),
        running_plan: running.then(|| in_force::mark(context, name)).flatten(),
        files: files(overview, name),
    })
}

/// The container's files in the plan.
fn files<'a>(overview: &'a Overview, name: &MachineName) -> Vec<GeneratedFile<'a>> {
    let files = overview.plan.files.iter().filter(|(path, _)| belongs_to(path, name));
    files.map(|(path, entry)| GeneratedFile::of(path, entry)).collect()
}
