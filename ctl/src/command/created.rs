//! What `create` came to, or would: for people as text, for scripts as JSON. The record and the intent go in; nothing is
//! decided here.

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::reach::host_reach;
use nixos_nspawn_units::store::DIRECTORY;
use nixos_nspawn_units::value::StorePath;
use serde::Serialize;

use crate::base::context::Context;
use crate::cli::Create;
use crate::fact::generated_file::GeneratedFile;
use crate::fact::installation;
use crate::host::record::Record;
use crate::host::state_directory;

/// What was made, as scripts see it.
#[derive(Serialize)]
struct Created<'a> {
    name: &'a str,
    /// Whether it runs now.
    started: bool,
    intent_file: String,
    toplevel: &'a str,
    generation: Option<u64>,
    host_reach: Vec<String>,
    notes: Vec<String>,
}

/// Tells of a container that was made.
pub(crate) fn report(context: &Context, arguments: &Create, record: &Record, intent: &Intent) -> Result<()> {
    let name = &record.name;
    let mut notes = Vec::new();
    if !record.details.delete_state {
        notes.push(format!(
            "the state in {} was there before and is used",
            state_directory::directory(context, name).display()
        ));
    }
    let found = notes.len();
    if context.live() {
        notes.extend(installation::hints(context, &intent.container));
    }
    let created = Created {
        name: name.as_str(),
        started: context.live() && !arguments.no_start,
        intent_file: format!("{DIRECTORY}/{name}.json"),
        toplevel: intent.toplevel.as_str(),
        generation: intent.generation,
        host_reach: host_reach(&intent.container),
        notes,
    };
    context.answer(&created, |created| {
        let (found, hints) = created.notes.split_at(found);
        let mut lines = vec![match (context.live(), created.started) {
            (true, true) => format!("container '{name}' is created and running"),
            (true, false) => {
                format!("container '{name}' is created; 'systemctl start systemd-nspawn@{name}' starts it")
            }
            (false, _) => format!("container '{name}' is recorded in {}", context.root.display()),
        }];
        lines.extend(found.iter().map(|note| format!("note: {note}")));
        lines.push(
            "note: whoever builds its profile has root on this host by it; this is what it reaches:"
                .to_owned(),
        );
        lines.extend(created.host_reach.iter().map(|line| format!("  {line}")));
        lines.extend(hints.iter().map(|note| format!("note: {note}")));
        lines.join("\n") + "\n"
    })
}

/// What would be made, as scripts see it.
#[derive(Serialize)]
pub(crate) struct WouldCreate<'a> {
    pub(crate) name: &'a str,
    /// Whether it would be started now, and with the host.
    pub(crate) start: bool,
    pub(crate) autostart: bool,
    /// What was built.
    pub(crate) built: &'a StorePath,
    pub(crate) intent_file: String,
    pub(crate) intent: &'a Intent,
    pub(crate) host_reach: Vec<String>,
    pub(crate) warnings: &'a [String],
    pub(crate) notes: Vec<String>,
    pub(crate) files: Vec<GeneratedFile<'a>>,
}

impl WouldCreate<'_> {
    /// For people, with the text of the intent.
    pub(crate) fn text(&self, intent: &str) -> String {
        let name = self.name;
        let mut lines: Vec<String> =
            self.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        let profile = self.intent.profile.as_ref().map_or("", |profile| profile.as_str());
        lines.push(format!("would make profile {profile} of {}", self.built));
        lines.push(format!("would write {}:", self.intent_file));
        lines.extend(intent.lines().map(|line| format!("  {line}")));
        lines.push("the generator would then write:".to_owned());
        for GeneratedFile { path, text, .. } in &self.files {
            // Below the generator's directory.
            lines.push(format!(
                "  {}",
                path.split_once("/generator/").map_or(path.as_str(), |(_, path)| path)
            ));
            let text = text.unwrap_or_default();
            lines.extend(text.lines().map(|line| format!("  | {line}").trim_end().to_owned()));
        }
        lines.extend(self.host_reach.iter().map(|line| format!("host reach: {line}")));
        lines.push(match self.start {
            true => format!("would start container '{name}'"),
            false => format!("would not start container '{name}'"),
        });
        if self.autostart {
            lines.push("it would start with the host".to_owned());
        }
        lines.join("\n") + "\n"
    }
}
