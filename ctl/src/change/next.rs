//! Builds the next intent of an update.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use nixos_nspawn_units::intent::{Intent, Overrides, Source, Strategy, Timezone};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::nspawn::nspawn_file;
use nixos_nspawn_units::service::DEFAULT_TIMEOUT;
use nixos_nspawn_units::value::{StorePath, Timespan};
use nixos_nspawn_units::verify::{Effect, NEWEST, nspawn_of};
use systemd_unit_syntax::words::bind_fields;

use crate::base::event::Event;
use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::decision::activation::{Action, Decision, decide};
use crate::decision::overrides;
use crate::decision::overrides::OverrideChanges;
use crate::fact::generations::generations;
use crate::host::profile_links;
use crate::host::update_memory::{BuiltFrom, UpdateMemory};
use crate::nix::build::{Made, Request};
use crate::nix::profile;
use crate::nix::profile::Profile;
use crate::nix::source::SourceArguments;
use crate::nix::tool::Nix;

/// Returns the administrator's layer, with the changes of this command line.
pub(crate) fn layer(old: &Overrides, changes: Option<&OverrideChanges>) -> Result<Overrides> {
    let Some(changes) = changes else { return Ok(old.clone()) };
    overrides::changed(old, changes)
        .map_err(|why| Failed::Usage(format!("{why}, nothing was changed")).into())
}

/// Returns the intent, with the administrator's layer and defaults.
pub(crate) fn intent(
    host: &Host,
    name: &MachineName,
    profile: &Profile,
    source: Source,
    layer: Overrides,
) -> Result<Intent> {
    let mut intent = Intent::new(name.clone(), profile.toplevel.clone());
    intent.container = overrides::over(&layer, &profile.container).map_err(|why| {
        let remedy =
            format!("'nixos-nspawn update {name} --unset OPTION' leaves an option to the build again");
        Failed::unchanged(format!("the overrides of container '{name}' do not fit this build: {why}"), remedy)
    })?;
    intent.overrides = layer;
    intent.source = Some(source);
    if intent.container.timeout_start_sec.is_none() {
        intent.container.timeout_start_sec = host.config.timeout_start_sec.clone();
    }
    // NixOS links /etc/localtime to the container's own time zone, which fails if nspawn has mounted a file there.
    let said = intent.container.timezone.is_some()
        || intent.container.nspawn_config.exec.get("Timezone").is_some_and(|values| !values.is_empty());
    if !said && profile::has_localtime(host, &intent.toplevel) {
        intent.container.timezone = Some(Timezone::Off);
    }
    // What this systemd would refuse, or does not know yet, keeps the container from being recorded.
    let ignored = nspawn_of(&intent, NEWEST).into_iter().filter(|finding| finding.effect == Effect::Ignored);
    for finding in ignored {
        host.report(Event::Note { name: name.clone(), text: finding.to_string() });
    }
    Ok(intent)
}

/// Returns the bind mount sources, including free-form ones.
pub(crate) fn sources(intent: &Intent) -> Vec<PathBuf> {
    let Ok(file) = nspawn_file(intent) else { return Vec::new() };
    let values = file.values("Files", "Bind").chain(file.values("Files", "BindReadOnly"));
    let sources = values.filter_map(|value| Some(bind_fields(value).ok()?.source));
    sources.filter(|source| source.starts_with('/')).map(PathBuf::from).collect()
}

/// Returns the bind mount sources that the start will create.
pub(crate) fn missing_sources(host: &Host, intent: &Intent) -> Vec<PathBuf> {
    let missing = |source: &PathBuf| {
        let found = host.path(source).symlink_metadata();
        found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    sources(intent).into_iter().filter(missing).collect()
}

/// The duration that stands for infinity.
const FOR_EVER: Duration = Duration::from_secs(86_400);

/// Returns the duration of a time span.
pub(crate) fn duration(span: &Timespan) -> Duration {
    span.microseconds().map_or(FOR_EVER, Duration::from_micros)
}

/// Returns the time limit of an activation: as given, or the container's start timeout.
pub(crate) fn limit_or_start(limit: Option<Duration>, intent: &Intent) -> Duration {
    let start = || {
        let text = intent.container.timeout_start_sec.as_ref().map_or(DEFAULT_TIMEOUT, |span| span.as_str());
        text.parse::<Timespan>().map_or(FOR_EVER, |span| duration(&span))
    };
    limit.unwrap_or_else(start)
}

/// Returns the recorded time limit of a build.
pub(crate) fn build_limit(intent: &Intent) -> Option<Duration> {
    intent.container.activation.build_timeout.as_ref().map(duration)
}

/// Returns the strategy: as given, or the container's own.
pub(crate) fn strategy(given: Option<Strategy>, new: &Intent) -> Strategy {
    given.unwrap_or(new.container.activation.strategy)
}

/// Decides how the new intent takes effect. A system without bin/switch-to-configuration (`system.switch.enable` of NixOS) is
/// started, not switched to.
pub(crate) fn decision(
    host: &Host,
    name: &MachineName,
    old: &Intent,
    new: &Intent,
    given: Option<Strategy>,
    runs: bool,
) -> Result<Decision> {
    let strategy = strategy(given, new);
    let decision = decide(name, old, new, strategy, runs)?;
    let switches = || host.path(format!("{}/bin/switch-to-configuration", new.toplevel)).exists();
    if decision.action != Action::Reload || new.container.activation.reload_script.is_some() || switches() {
        return Ok(decision);
    }
    let why = "the new system has no bin/switch-to-configuration";
    if strategy == Strategy::Reload {
        return unchanged(
            format!("container '{name}' cannot be reloaded: {why}"),
            "--strategy restart restarts it; in NixOS, system.switch.enable adds that program",
        );
    }
    Ok(Decision { action: Action::Restart, reason: why.to_owned() })
}

/// What an update would record.
pub(crate) struct Next {
    /// The new intent, still with the old generation.
    pub(crate) intent: Intent,
    /// The profile that was built.
    pub(crate) profile: StorePath,
    /// The build, for later updates.
    pub(crate) from: Option<BuiltFrom>,
    /// Why the source may be out of date, if it was not refreshed.
    pub(crate) stale: Option<String>,
}

/// What was built for a container before it was locked, and for what.
pub(crate) struct MadeAhead {
    pub(crate) made: Result<Made>,
    source: Option<Source>,
    toplevel: StorePath,
    generation: Option<u64>,
}

impl MadeAhead {
    /// Returns what was built for this intent.
    pub(crate) fn of(intent: &Intent, made: Result<Made>) -> Self {
        let Intent { source, toplevel, generation, .. } = intent.clone();
        Self { made, source, toplevel, generation }
    }

    /// Returns whether the container is still as it was: another command may have given it another source or generation.
    pub(crate) fn fits(&self, intent: &Intent) -> bool {
        (&self.source, &self.toplevel, self.generation)
            == (&intent.source, &intent.toplevel, intent.generation)
    }
}

/// Builds, and reads the result.
pub(crate) fn next(
    host: &Host,
    nix: &Nix,
    name: &MachineName,
    old: &Intent,
    (said, layer): (&SourceArguments, &Overrides),
    link: Option<&std::path::Path>,
) -> Result<Next> {
    let made = requested(host, nix, name, old, said, |request| request.build(link))?;
    of_build(host, name, old, made, layer)
}

/// Returns what an update would record without a build, or `None` if the source has changed since the last build.
pub(crate) fn known(
    host: &Host,
    nix: &Nix,
    name: &MachineName,
    old: &Intent,
    (said, layer): (&SourceArguments, &Overrides),
) -> Result<Option<Next>> {
    let made = requested(host, nix, name, old, said, |request| request.known())?;
    made.map(|made| of_build(host, name, old, made, layer)).transpose()
}

/// Makes a request of the build that these arguments and the recorded source ask for.
fn requested<T>(
    host: &Host,
    nix: &Nix,
    name: &MachineName,
    old: &Intent,
    said: &SourceArguments,
    make: impl FnOnce(&Request) -> Result<T>,
) -> Result<T> {
    let wanted = said.wanted(host, old.source.as_ref())?;
    let memory = UpdateMemory::read(host, name, &profile_folder(host, name, old))?;
    make(&Request {
        host,
        nix: Some(nix),
        name,
        wanted: &wanted,
        recorded: old.source.as_ref(),
        last: memory.built.as_ref(),
        limit: build_limit(old),
    })
}

/// Reads the profile that was built.
pub(crate) fn of_build(
    host: &Host,
    name: &MachineName,
    old: &Intent,
    made: Made,
    layer: &Overrides,
) -> Result<Next> {
    let Made { path, source, from, stale } = made;
    let built = profile::read(host, &path, name)?;
    for warning in &built.warnings {
        host.report(Event::ProfileWarning { text: warning.clone() });
    }
    let mut intent = self::intent(host, name, &built, source, layer.clone())?;
    intent.profile = old.profile.clone();
    if intent.profile.is_none() {
        let system = profile_links::profile_directory(host, name).join("system");
        intent.profile = Some(system.to_string_lossy().parse()?);
    }
    intent.generation = old.generation;
    intent.autostart = old.autostart;
    Ok(Next { intent, profile: path, from, stale })
}

/// Returns whether two intents differ in nothing but the source, and the layer that led to the same options.
pub(crate) fn same_but_source(old: &Intent, new: &Intent) -> bool {
    let effective =
        |intent: &Intent| Intent { source: None, overrides: Overrides::default(), ..intent.clone() };
    effective(old) == effective(new)
}

/// Returns the source without the revision, which changes with every commit even if the build does not.
pub(crate) fn unlocked(intent: &Intent) -> Option<Source> {
    intent.source.clone().map(|source| Source { locked: None, ..source })
}

/// Returns the number of the newest generation.
pub(crate) fn newest(host: &Host, name: &MachineName, intent: &Intent) -> Result<u64> {
    Ok(generations(host, name, intent)?.last().map_or(0, |generation| generation.number))
}

/// Returns the directory of the profile's links.
pub(crate) fn profile_folder(host: &Host, name: &MachineName, intent: &Intent) -> std::path::PathBuf {
    let recorded =
        intent.profile.as_ref().and_then(|profile| std::path::Path::new(profile.as_str()).parent());
    recorded.map_or_else(|| profile_links::profile_directory(host, name), std::path::Path::to_owned)
}
