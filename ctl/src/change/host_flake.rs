//! The flake that `apply` applies, and what that means for each container of this host. Changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{Kind, Loaded, Stored};
use nixos_nspawn_units::value::shown;
use rustix::system::uname;

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::base::secrets::without_password;
use crate::change::next::profile_folder;
use crate::decision::host_flake::{From, Part, Recorded, Wanted, applied_from, is_for, parts};
use crate::fact::lookup::all_seen;
use crate::host::files::read_small;
use crate::host::update_memory::{Hold, UpdateMemory};
use crate::nix::flake::Flake;
use crate::nix::host_containers::{Hosts, containers};
use crate::nix::local_path::canonical;
use crate::nix::metadata::Resolved;
use crate::nix::source::SourceArguments;
use crate::nix::tool;
use crate::nix::tool::{Nix, Outcome};

/// What a flake means for this host.
pub(crate) struct HostFlake {
    /// The reference, with an absolute path.
    pub(crate) reference: String,
    /// Its revision.
    pub(crate) at: Arc<Resolved>,
    /// The user whose checkout may be read.
    pub(crate) owner: Option<u32>,
    /// What happens to each container.
    pub(crate) parts: BTreeMap<MachineName, Part>,
    /// The attributes of the containers that the flake has for this host.
    pub(crate) attributes: BTreeMap<MachineName, String>,
    /// Attributes that cannot be applied, and why.
    pub(crate) unusable: Vec<(String, String)>,
    /// The name and the tags of this host.
    pub(crate) host_names: HostNames,
    /// Whether any container says for which hosts it is.
    for_some: bool,
}

/// By what a flake knows this host.
pub(crate) struct HostNames {
    pub(crate) all: Vec<String>,
    /// Whether the name is configured, so that it is the same at each boot.
    fixed: bool,
}

impl HostFlake {
    /// Returns the reference for messages.
    pub(crate) fn shown(&self) -> String {
        without_password(&self.reference)
    }

    /// Refuses to remove what is gone, if that is more likely a mistake. Containers that are named were meant.
    pub(crate) fn check_prune(&self, named: bool) -> Result<()> {
        let gone: Vec<&str> = self
            .parts
            .iter()
            .filter(|(_, part)| **part == Part::Gone)
            .map(|(name, _)| name.as_str())
            .collect();
        if gone.is_empty() || named {
            return Ok(());
        }
        let (flake, host) = (self.shown(), self.host_names.all.join(", "));
        if self.for_some && !self.host_names.fixed {
            return unchanged(
                format!("{flake}: has containers for certain hosts, and this host has no name that stays"),
                "set Name= in nixos-nspawn.conf(5)",
            );
        }
        if self.attributes.is_empty() {
            return unchanged(
                format!(
                    "{flake}: has no container for this host ({host}), and --prune would remove all of its containers"
                ),
                format!("to remove them, name them: {}", gone.join(" ")),
            );
        }
        Ok(())
    }
}

/// Resolves the flake, and decides for each of its containers, or for those that are named.
pub(crate) fn look(
    host: &Host,
    nix: &Nix,
    source: &SourceArguments,
    names: &[MachineName],
) -> Result<HostFlake> {
    let loaded = host.load();
    // What cannot be seen must not be created a second time, or be taken for gone.
    all_seen(&loaded)?;
    let reference = reference(host, &loaded, source.flake)?;
    let wanted = SourceArguments { flake: Some(&reference), ..*source }.wanted(host, None)?;
    // Only a flake that was named accepts its owner.
    let owner = match source.flake {
        Some(_) => wanted.source.owner,
        None => of_flake(&loaded, &reference).find_map(|source| source.owner),
    };
    let at = match nix.resolve(&reference, owner, &wanted.arguments, "")? {
        Outcome::At(at) => at,
        Outcome::Unreachable(reason) => return Err(Failed::Program(reason).into()),
    };
    let system = wanted.source.system.as_ref();
    let system = system.map_or_else(tool::native_system, |system| system.as_str().to_owned());
    let host_names = host_names(host);
    let mut found = Wanted { flake: reference.clone(), system: system.clone(), ..Wanted::default() };
    let (mut attributes, mut unusable, mut for_some) = (BTreeMap::new(), Vec::new(), false);
    for (text, container) in containers(nix, &at, &system, owner, &wanted.arguments)? {
        let for_this = match &container.hosts {
            Hosts::Every => true,
            Hosts::Named(hosts) => {
                for_some = true;
                is_for(hosts, &host_names.all)
            }
            Hosts::Unreadable => {
                found.unknown.extend(text.parse::<MachineName>());
                let why = "'nixosContainer.hosts' cannot be evaluated, or is no list of texts";
                unusable.push((shown(&text), why.to_owned()));
                continue;
            }
        };
        match text.parse::<MachineName>() {
            _ if !for_this => {}
            Ok(name) => {
                attributes.insert(name.clone(), container.attribute);
                found.names.insert(name);
            }
            Err(error) => unusable.push((shown(&text), error.to_string())),
        }
    }
    // Nix may have taken long.
    let loaded = host.load();
    all_seen(&loaded)?;
    let mut parts = parts(&found, &recorded(host, &loaded)?);
    if !names.is_empty() {
        if let Some(name) = names.iter().find(|name| !parts.contains_key(*name)) {
            let has: Vec<&str> = parts.keys().map(MachineName::as_str).collect();
            let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
            let (flake, host) = (without_password(&reference), host_names.all.join(", "));
            return unchanged(
                format!("{flake}: there is no container '{name}' for this host ({host})"),
                format!("it has {has}"),
            );
        }
        parts.retain(|name, _| names.contains(name));
        unusable.clear();
    }
    Ok(HostFlake { reference, at, owner, parts, attributes, unusable, host_names, for_some })
}

/// Returns whether `apply` created a container from the flake with this reference, and nobody holds it or has given it
/// another source since.
pub(crate) fn may_be_removed(host: &Host, stored: &Stored, reference: &str) -> bool {
    let from = applied_from(&stored.name, stored.intent.source.as_ref());
    let held = hold(host, stored).map(|hold| hold.is_some()).unwrap_or(true);
    stored.kind == Kind::Imperative && from == Some(reference) && !held
}

fn hold(host: &Host, stored: &Stored) -> Result<Option<Hold>> {
    let folder = profile_folder(host, &stored.name, &stored.intent);
    Ok(UpdateMemory::read(host, &stored.name, &folder)?.hold)
}

/// Returns the flake as configured, or as it was applied before, if that is one.
pub(crate) fn usual(host: &Host, loaded: &Loaded) -> Option<String> {
    if let Some(text) = &host.config.flake {
        return Some(text.as_str().to_owned());
    }
    let applied = loaded.intents.iter();
    let applied = applied.filter_map(|one| applied_from(&one.name, one.intent.source.as_ref()));
    let mut applied: Vec<&str> = applied.collect();
    applied.sort_unstable();
    applied.dedup();
    match applied[..] {
        [one] => Some(one.to_owned()),
        _ => None,
    }
}

/// Returns the flake as given, or the usual one.
fn reference(host: &Host, loaded: &Loaded, given: Option<&str>) -> Result<String> {
    let Some(text) = given.map(str::to_owned).or_else(|| usual(host, loaded)) else {
        let text =
            "no flake is given, nothing was changed; pass --flake, or set Flake= in nixos-nspawn.conf(5)";
        return Err(Failed::Usage(text.to_owned()).into());
    };
    let flake = Flake::parse(&text, &std::env::current_dir()?)?;
    if let Some(attribute) = flake.attribute {
        return Err(Failed::Usage(format!(
            "{}: 'apply' takes a whole flake, nothing was changed; leave out '#{attribute}', or name containers: \
             'apply {attribute} --flake …'",
            without_password(&text)
        ))
        .into());
    }
    flake.check()?;
    // Other spellings of the same path are the same flake.
    canonical(&flake.reference)
}

/// Returns the sources of the containers that were applied from a flake.
fn of_flake<'a>(loaded: &'a Loaded, reference: &'a str) -> impl Iterator<Item = &'a Source> {
    let of = move |stored: &'a Stored| {
        let source = stored.intent.source.as_ref()?;
        (applied_from(&stored.name, Some(source)) == Some(reference)).then_some(source)
    };
    loaded.intents.iter().filter_map(of)
}

/// Returns what is recorded.
fn recorded(host: &Host, loaded: &Loaded) -> Result<BTreeMap<MachineName, Recorded>> {
    let mut all = BTreeMap::new();
    for error in loaded.errors.iter().filter(|error| !error.shadowed) {
        let one = match error.kind {
            Kind::Declarative => Recorded::Declarative,
            Kind::Imperative => {
                Recorded::Broken(format!("{error}, so it is not applied; correct the file first"))
            }
        };
        all.extend(error.name.clone().map(|name| (name, one)));
    }
    for stored in &loaded.intents {
        let source = stored.intent.source.as_ref();
        let one = match (stored.kind, applied_from(&stored.name, source)) {
            (Kind::Declarative, _) => Recorded::Declarative,
            (Kind::Imperative, None) => Recorded::ByHand,
            (Kind::Imperative, Some(flake)) => {
                let system = source.and_then(|source| source.system.as_ref());
                Recorded::Applied(From {
                    flake: flake.to_owned(),
                    system: system.map_or_else(tool::native_system, |system| system.as_str().to_owned()),
                    held: hold(host, stored)?.map(|hold| hold.text()),
                })
            }
        };
        all.insert(stored.name.clone(), one);
    }
    Ok(all)
}

/// Returns the name and the tags of this host. A full name stands for the short one as well.
pub(crate) fn host_names(host: &Host) -> HostNames {
    let configured = host.config.host_name.as_ref().map(|name| name.as_str().to_owned());
    let file = || {
        let text = String::from_utf8(read_small(&host.path("/etc/hostname")).ok()?).ok()?;
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'))?;
        Some(line.to_owned())
    };
    let fixed = configured.or_else(file);
    // Until DHCP or the like has answered, this may be `localhost`.
    let now = || uname().nodename().to_string_lossy().into_owned();
    let name = fixed.clone().unwrap_or_else(now);
    let short = name.split_once('.').map(|(short, _)| short.to_owned());
    let all = [Some(name.clone()), short].into_iter().flatten().chain(host.config.tags.iter().cloned());
    HostNames { all: all.collect(), fixed: fixed.is_some() }
}
