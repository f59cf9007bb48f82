//! Builds a source, unless the last build is still valid. A flake is resolved once, and exactly that revision is
//! evaluated, built and recorded.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use crate::base::event::Event;
use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::base::secrets::without_password;
use crate::host::update_memory::BuiltFrom;
use crate::nix::cause::{Cause, Unbuilt};
use crate::nix::flake::{Flake, is_configuration};
use crate::nix::metadata::Resolved;
use crate::nix::source::{BuiltElsewhere, Wanted};
use crate::nix::tool::Nix;
use crate::nix::{configuration, profile, tool};

/// The build that a command requests.
pub(crate) struct Request<'a> {
    pub(crate) host: &'a Host,
    pub(crate) nix: Option<&'a Nix<'a>>,
    pub(crate) name: &'a MachineName,
    pub(crate) wanted: &'a Wanted,
    /// The recorded source.
    pub(crate) recorded: Option<&'a Source>,
    /// The last build.
    pub(crate) last: Option<&'a BuiltFrom>,
    /// The recorded time limit of the build, unless the command line has one.
    pub(crate) limit: Option<Duration>,
}

/// The result of a build.
#[derive(Debug)]
pub(crate) struct Made {
    /// The profile.
    pub(crate) path: StorePath,
    /// The source to record, at its revision.
    pub(crate) source: Source,
    /// The inputs, for later updates.
    pub(crate) from: Option<BuiltFrom>,
    /// Why the source may be out of date, if it was not refreshed.
    pub(crate) stale: Option<String>,
}

/// The next step towards a result.
pub(crate) enum Step {
    /// The result is known; nothing has to be built.
    Known(Box<Made>),
    /// A build is needed.
    Build(Box<Draft>),
}

/// A build that was prepared.
#[derive(Clone)]
pub(crate) struct Draft {
    /// The arguments that name what is built.
    pub(crate) what: Vec<String>,
    /// The user whose checkout may be read.
    pub(crate) accepted: Option<u32>,
    source: Source,
    stale: Option<String>,
    /// The flake at its revision, with the attribute.
    from: Option<(Arc<Resolved>, String)>,
    /// Whether the attribute was taken from the last build, so that the flake may no longer have it.
    guessed: bool,
}

impl<'a> Request<'a> {
    /// Returns the request of a first build.
    pub(crate) fn first(
        host: &'a Host,
        nix: Option<&'a Nix<'a>>,
        name: &'a MachineName,
        wanted: &'a Wanted,
    ) -> Self {
        Self { host, nix, name, wanted, recorded: None, last: None, limit: None }
    }

    /// Returns the last build if the source, at its present revision, would give the same result. Resolves the
    /// source, but builds nothing.
    pub(crate) fn known(&self) -> Result<Option<Made>> {
        if let Some(built) = self.elsewhere() {
            return self.made_elsewhere(built).map(Some);
        }
        let (Some(reference), Some(nix)) = (&self.wanted.source.flake, self.nix) else { return Ok(None) };
        let flake = Flake::parse(reference.as_str(), Path::new("/"))?;
        let at = self.resolved(nix, &flake)?;
        Ok(self.same(&at).map(|last| self.made(&at, last.clone())))
    }

    /// Determines what has to be built.
    pub(crate) fn step(&self) -> Result<Step> {
        if let Some(built) = self.elsewhere() {
            return Ok(Step::Known(Box::new(self.made_elsewhere(built)?)));
        }
        let Wanted { source, arguments, .. } = self.wanted;
        if let Some(path) = &source.profile {
            let path = profile::store_path(self.host, Path::new(path.as_str()))?;
            return Ok(Step::Known(Box::new(Made { path, source: source.clone(), from: None, stale: None })));
        }
        match (&source.flake, &source.config, self.nix) {
            (Some(reference), _, Some(nix)) => {
                let flake = Flake::parse(reference.as_str(), Path::new("/"))?;
                let at = self.resolved(nix, &flake)?;
                if let Some(last) = self.same(&at) {
                    return Ok(Step::Known(Box::new(self.made(&at, last.clone()))));
                }
                // The flake probably still has the same layout.
                let system = self.system();
                let before = self.last_of(&flake).filter(|last| last.system == system);
                let attribute = match before {
                    Some(last) => last.attribute.clone(),
                    None => self.search(nix, &flake, &at)?,
                };
                Ok(Step::Build(Box::new(self.draft(at, attribute, before.is_some()))))
            }
            (None, Some(config), Some(nix)) => {
                let (mut source, system) = (source.clone(), self.system());
                let what = configuration::words(nix, self.name, &system, &mut source, config, arguments)?;
                let stale = source.nixpkgs.as_ref().and_then(|nixpkgs| nix.stale(nixpkgs.as_str()));
                let draft = Draft { what, accepted: None, source, stale, from: None, guessed: false };
                Ok(Step::Build(Box::new(draft)))
            }
            _ => unchanged(
                format!("container '{}' has no source to build from", self.name),
                "pass --flake, --config or --profile",
            ),
        }
    }

    /// Builds. `link` protects the result from garbage collection.
    pub(crate) fn build(&self, link: Option<&Path>) -> Result<Made> {
        match (self.step()?, self.nix) {
            (Step::Known(made), nix) => {
                let protected = made.from.is_some() || self.elsewhere().is_some();
                if let (Some(nix), Some(_), true) = (nix, link, protected) {
                    nix.build(&[made.path.to_string()], None, link, &[], self.limit)
                        .map_err(Unbuilt::error)?;
                }
                Ok(*made)
            }
            (Step::Build(draft), Some(nix)) => self.built(nix, *draft, link),
            (Step::Build(_), None) => {
                unchanged("Nix is not installed", "install it, or use --profile with a built profile")
            }
        }
    }

    /// Returns what was built elsewhere for the container.
    fn elsewhere(&self) -> Option<&BuiltElsewhere> {
        self.wanted.built.iter().find(|built| built.name == self.name.as_str())
    }

    fn made_elsewhere(&self, built: &BuiltElsewhere) -> Result<Made> {
        let path = profile::store_path(self.host, Path::new(built.path.as_str()))?;
        let source = Source { locked: built.locked.clone(), ..self.wanted.source.clone() };
        Ok(Made { path, source, from: None, stale: None })
    }

    fn built(&self, nix: &Nix, draft: Draft, link: Option<&Path>) -> Result<Made> {
        let arguments = &self.wanted.arguments;
        self.host.report(Event::Building { names: vec![self.name.clone()] });
        match (nix.build(&draft.what, draft.accepted, link, arguments, self.limit), &self.wanted.source.flake)
        {
            (Ok(output), _) => Ok(self.finished(draft, output)),
            (Err(Unbuilt { cause: Some(Cause::Attribute) | None, error }), Some(flake)) if draft.guessed => {
                let Some((at, before)) = draft.from else { return Err(error.into()) };
                let flake = Flake::parse(flake.as_str(), Path::new("/"))?;
                let found = self.search(nix, &flake, &at)?;
                if found == before {
                    return Err(error.into());
                }
                let draft = self.draft(at, found, false);
                let output = nix
                    .build(&draft.what, draft.accepted, link, arguments, self.limit)
                    .map_err(Unbuilt::error)?;
                Ok(self.finished(draft, output))
            }
            (Err(unbuilt), _) => Err(unbuilt.error.into()),
        }
    }

    /// Searches the flake for the container's attribute.
    fn search(&self, nix: &Nix, flake: &Flake, at: &Resolved) -> Result<String> {
        let Wanted { source, arguments, .. } = self.wanted;
        let attribute = flake.attribute_of(nix, at, self.name, &self.system(), source.owner, arguments)?;
        if is_configuration(&attribute) {
            let text = format!(
                "{attribute} is a NixOS configuration, so all options of the container have their defaults; it needs \
                 boot.isNspawnContainer (or boot.isContainer) and networking.useNetworkd"
            );
            self.host.report(Event::Note { name: self.name.clone(), text });
        }
        Ok(attribute)
    }

    /// Returns the build of an attribute that the flake has at this revision.
    pub(crate) fn draft_of(&self, at: Arc<Resolved>, attribute: String) -> Draft {
        self.draft(at, attribute, false)
    }

    fn draft(&self, at: Arc<Resolved>, attribute: String, guessed: bool) -> Draft {
        let source = Source { locked: at.locked.parse().ok(), ..self.wanted.source.clone() };
        Draft {
            what: vec![format!("{}#{attribute}", at.reference), "--no-write-lock-file".to_owned()],
            accepted: source.owner,
            source,
            stale: at.stale.clone(),
            from: Some((at, attribute)),
            guessed,
        }
    }

    /// Returns the result of a finished build. Containers can read what is remembered, so it has no passwords.
    pub(crate) fn finished(&self, draft: Draft, output: StorePath) -> Made {
        let from =
            draft.from.zip(self.wanted.source.flake.as_ref()).map(|((at, attribute), flake)| BuiltFrom {
                flake: without_password(flake.as_str()),
                locked: without_password(&at.locked),
                reference: without_password(&at.reference),
                inputs: without_password(&at.inputs),
                attribute,
                system: self.system(),
                arguments_hash: BuiltFrom::hash_of(&self.wanted.arguments),
                output: output.clone(),
            });
        Made { path: output, source: draft.source, from, stale: draft.stale }
    }

    pub(super) fn system(&self) -> String {
        let system = self.wanted.source.system.as_ref();
        system.map_or_else(tool::native_system, |system| system.as_str().to_owned())
    }
}
