//! `create`: builds a container, records it and starts it.

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::belongs_to;
use nixos_nspawn_units::reach::Reach;
use nixos_nspawn_units::store::DIRECTORY;
use nixos_nspawn_units::value::StorePath;
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::unchanged;
use crate::change::create;
use crate::change::create::{CreateOptions, Created};
use crate::change::create_draft;
use crate::cli::Create;
use crate::command::begin::begin;
use crate::command::reachable::reachable;
use crate::command::{arguments as given, overrides};
use crate::decision::overrides::OverrideChanges;
use crate::fact::generated_file::GeneratedFile;
use crate::fact::lookup::machine_name;
use crate::fact::reachable::Reachable;
use crate::fact::{installation, setuid_places};
use crate::host::state_directory;
use crate::nix::source::{BuiltElsewhere, SourceArguments};

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Create) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    if !context.live() && arguments.profile.is_none() {
        return unchanged("--root works with --profile only", "");
    }
    let overrides = overrides::changes(&arguments.overrides, &[])?;
    let built = given::built(&arguments.built, arguments.build_on_host)?;
    let options = options(arguments, overrides.as_ref(), &built);
    if arguments.dry_run {
        return dry_run(context, &name, &options);
    }
    begin(context, "create")?;
    if context.live() {
        context.need_systemd()?;
    }
    let created = create::create(context, &name, &options)?;
    report(context, &name, &created)
}

fn options<'a>(
    arguments: &'a Create,
    overrides: Option<&'a OverrideChanges>,
    built: &'a [BuiltElsewhere],
) -> CreateOptions<'a> {
    CreateOptions {
        source: SourceArguments {
            flake: arguments.flake.as_deref(),
            config: arguments.config.as_deref(),
            nixpkgs: arguments.nixpkgs.as_deref(),
            profile: arguments.profile.as_deref(),
            system: arguments.system.as_deref(),
            nix_args: &arguments.nix_args,
            save_args: true,
            built,
        },
        overrides,
        start: !arguments.no_start,
        allow_user_store: arguments.allow_user_store,
        allow_taken_ports: arguments.allow_taken_ports,
        applied: None,
    }
}

/// What was created, as scripts see it.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct CreatedAnswer<'a> {
    name: &'a str,
    /// Whether it runs now.
    started: bool,
    intent_file: String,
    toplevel: &'a str,
    generation: Option<u64>,
    /// Where it can be reached.
    #[serde(flatten)]
    reachable: Reachable,
    host_reach: Vec<String>,
    notes: Vec<String>,
}

fn report(context: &Context, name: &MachineName, created: &Created) -> Result<()> {
    let Created { intent, started, state_was_there } = created;
    let mut notes = Vec::new();
    if *state_was_there {
        notes.push(format!(
            "the existing state in {} is used",
            state_directory::directory(context, name).display()
        ));
    }
    let found = notes.len();
    if context.live() {
        notes.extend(setuid_places::warning(context, name, intent, None));
        notes.extend(installation::hints(context, &intent.container));
    }
    let answer = CreatedAnswer {
        name: name.as_str(),
        started: *started,
        intent_file: format!("{DIRECTORY}/{name}.json"),
        toplevel: intent.toplevel.as_str(),
        generation: intent.generation,
        reachable: if *started { reachable(context, name, &intent.container) } else { Reachable::default() },
        host_reach: Reach::of(&intent.container).lines(),
        notes,
    };
    context.answer(&answer, |created| {
        let (found, hints) = created.notes.split_at(found);
        let mut lines = vec![match (context.live(), created.started) {
            (true, true) => format!("container '{name}' is created and running"),
            (true, false) => {
                format!("container '{name}' is created; 'systemctl start systemd-nspawn@{name}' starts it")
            }
            (false, _) => format!("container '{name}' is recorded in {}", context.root.display()),
        }];
        lines.extend(created.reachable.lines());
        lines.extend(found.iter().map(|note| format!("note: {note}")));
        lines.push(
            "note: whoever builds this profile effectively has root on this host; the container's reach into the host:"
                .to_owned(),
        );
        lines.extend(created.host_reach.iter().map(|line| format!("  {line}")));
        lines.extend(hints.iter().map(|note| format!("note: {note}")));
        lines.join("\n") + "\n"
    })
}

/// Prints what would be created and done.
fn dry_run(context: &Context, name: &MachineName, options: &CreateOptions) -> Result<()> {
    let draft = create_draft::draft(context, name, options)?;
    let files = draft.plan.files.iter().filter(|(path, _)| belongs_to(path, name));
    let would = WouldCreate {
        name: name.as_str(),
        start: context.live() && options.start,
        autostart: draft.planned.autostart,
        built: &draft.profile.path,
        intent_file: format!("{DIRECTORY}/{name}.json"),
        intent: &draft.intent,
        host_reach: Reach::of(&draft.intent.container).lines(),
        warnings: &draft.profile.warnings,
        notes: draft.notes.clone(),
        files: files.map(|(path, entry)| GeneratedFile::of(path, entry)).collect(),
    };
    let text = draft.intent.to_json()?;
    context.answer(&would, |would| would.text(&text))
}

/// What would be created, as scripts see it.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct WouldCreate<'a> {
    name: &'a str,
    /// Whether it would be started now.
    start: bool,
    autostart: bool,
    /// The profile that was built.
    built: &'a StorePath,
    intent_file: String,
    intent: &'a Intent,
    host_reach: Vec<String>,
    warnings: &'a [String],
    notes: Vec<String>,
    files: Vec<GeneratedFile<'a>>,
}

impl WouldCreate<'_> {
    /// Returns the text for people, with the intent.
    fn text(&self, intent: &str) -> String {
        let name = self.name;
        let mut lines: Vec<String> =
            self.warnings.iter().map(|warning| format!("warning: {warning}")).collect();
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        let profile = self.intent.profile.as_ref().map_or("", |profile| profile.as_str());
        lines.push(format!("would create profile {profile} from {}", self.built));
        lines.push(format!("would write {}:", self.intent_file));
        lines.extend(intent.lines().map(|line| format!("  {line}")));
        lines.push("the generator would then write:".to_owned());
        for GeneratedFile { path, text, .. } in &self.files {
            // In the generator's directory.
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
