//! Builds here what a command for another host needs, so that the host only gets the closure: the words for the command there name
//! the build.

mod applied;
mod asked;

use anyhow::{Error, Result};
use nixos_nspawn_units::intent::Source;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;

use asked::{Recorded, recorded, system};

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::interrupt;
use crate::base::program::Program;
use crate::base::remote::{Target, without, without_flag};
use crate::base::secrets::MASK;
use crate::cli::{Command, Create, From};
use crate::command::arguments;
use crate::fact::lookup::machine_name;
use crate::host::ssh;
use crate::nix::build::{Made, Request};
use crate::nix::flake::Flake;
use crate::nix::local_path::local_path;
use crate::nix::profile;
use crate::nix::source::SourceArguments;
use crate::nix::tool::Nix;

/// What a command for a host needs.
pub(super) struct ForHost {
    /// The words of the command there.
    pub(super) words: Vec<String>,
    /// What is to be copied there first.
    pub(super) paths: Vec<StorePath>,
}

/// Builds what the command needs on a host.
pub(super) fn for_host(
    context: &Context,
    target: &Target,
    command: &Command,
    words: &[String],
    asks: bool,
) -> Result<ForHost> {
    let (names, all, from, on_host) = match command {
        Command::Create(create) => {
            (std::slice::from_ref(&create.name), false, source_of(create), create.build_on_host)
        }
        Command::Update(update) => {
            (&update.names[..], update.all, update.from.clone(), update.from.build_on_host)
        }
        Command::Plan(plan) => (&plan.names[..], plan.all, plan.from.clone(), plan.from.build_on_host),
        Command::Apply(apply) => {
            let from = From {
                flake: apply.flake.clone(),
                system: apply.system.clone(),
                no_refresh: apply.no_refresh,
                ..From::default()
            };
            (&apply.names[..], false, from, apply.build_on_host)
        }
        _ => return Ok(ForHost { words: words.to_vec(), paths: Vec::new() }),
    };
    if on_host {
        return on_the_host(target, &from, words);
    }
    let nix = Nix::find(context)?.refreshing(!from.no_refresh);
    let system = match &from.system {
        Some(system) => system.clone(),
        None => system(context, target, asks)?,
    };
    let here = Here { context, nix: &nix, system: &system, command };
    if let Command::Apply(apply) = command {
        return here.applied(target, apply, words, asks);
    }
    if from.flake.is_some() || from.config.is_some() || from.profile.is_some() {
        let [name] = names else {
            let why = "--flake, --config and --profile apply to one container only, nothing was changed";
            return Err(Failed::Usage(why.to_owned()).into());
        };
        return here.named(&machine_name(name)?, &from, words);
    }
    let recorded = recorded(context, target, names, all, asks)?;
    here.recorded(target, recorded, words)
}

fn source_of(create: &Create) -> From {
    let Create { flake, config, profile, nixpkgs, system, .. } = create;
    From {
        flake: flake.clone(),
        config: config.clone(),
        profile: profile.clone(),
        nixpkgs: nixpkgs.clone(),
        system: system.clone(),
        ..From::default()
    }
}

/// Leaves the build to the host, which cannot read files of this one.
fn on_the_host(target: &Target, from: &From, words: &[String]) -> Result<ForHost> {
    let here = std::env::current_dir()?;
    let local = match &from.flake {
        Some(flake) => local_path(&Flake::parse(flake, &here)?.recorded()).is_some(),
        None => from.config.is_some(),
    };
    if local {
        let why = format!(
            "{target} cannot read the files of this host, nothing was changed; leave out --build-on-host"
        );
        return Err(Failed::Usage(why).into());
    }
    Ok(ForHost { words: without_flag(words, "--build-on-host"), paths: Vec::new() })
}

/// Builds on this host.
struct Here<'a> {
    context: &'a Context,
    nix: &'a Nix<'a>,
    system: &'a str,
    command: &'a Command,
}

impl Here<'_> {
    /// Builds a source that the command line names.
    fn named(&self, name: &MachineName, from: &From, words: &[String]) -> Result<ForHost> {
        let (given, save) = match self.command {
            Command::Create(create) => (&create.nix_args[..], true),
            Command::Update(update) => (&update.nix_args[..], update.save_args),
            Command::Plan(plan) => (&plan.nix_args[..], false),
            _ => (&[][..], false),
        };
        let arguments =
            SourceArguments { system: Some(self.system), ..arguments::source(from, given, save, &[]) };
        let Made { path, source, .. } = self.built(name, &arguments)?;
        let flake = source.flake.as_ref().filter(|flake| local_path(flake.as_str()).is_none());
        let mut words = words.to_vec();
        for option in ["--flake", "--config", "--nixpkgs", "--profile", "--system"] {
            words = without(&words, option);
        }
        let new = match flake {
            Some(flake) => [
                "--flake".to_owned(),
                flake.to_string(),
                "--system".to_owned(),
                self.system.to_owned(),
                "--built".to_owned(),
                built(name, &path, &source),
            ]
            .to_vec(),
            None => {
                // The arguments were for the build.
                words = words.into_iter().take_while(|word| word != "--").collect();
                vec!["--profile".to_owned(), path.to_string()]
            }
        };
        Ok(ForHost { words: before_arguments(words, new), paths: vec![path] })
    }

    /// Builds what is recorded on the host, as far as that is safe and possible here. Arguments that the host has recorded are
    /// not used: they could make an evaluation read files of this host.
    fn recorded(&self, target: &Target, recorded: Vec<Recorded>, words: &[String]) -> Result<ForHost> {
        let (given, wanted_system) = match self.command {
            Command::Update(update) => (&update.nix_args[..], update.from.system.as_deref()),
            Command::Plan(plan) => (&plan.nix_args[..], plan.from.system.as_deref()),
            _ => (&[][..], None),
        };
        let (mut new, mut paths) = (Vec::new(), Vec::new());
        for Recorded { name, source } in recorded {
            // The host says what is wrong with it.
            let Some(source) = source else { continue };
            let flake = match buildable(&source) {
                Ok(Some(flake)) => flake,
                Ok(None) => continue,
                Err(why) => {
                    self.context.screen.tell(&format!("{target}: '{name}' is built there: {why}"));
                    continue;
                }
            };
            let system = wanted_system.or(source.system.as_ref().map(|system| system.as_str()));
            let arguments = SourceArguments {
                flake: Some(flake),
                system: Some(system.unwrap_or(self.system)),
                nix_args: given,
                ..SourceArguments::default()
            };
            match self.built(&name, &arguments) {
                Ok(made) => {
                    new.extend(["--built".to_owned(), built(&name, &made.path, &made.source)]);
                    paths.push(made.path);
                }
                // One that fails does not keep the others from being updated.
                Err(error) => {
                    interrupt::check()?;
                    self.context
                        .screen
                        .tell(&format!("{target}: '{name}' is built there, since it failed here: {error:#}"));
                }
            }
        }
        Ok(ForHost { words: before_arguments(words.to_vec(), new), paths })
    }

    fn built(&self, name: &MachineName, arguments: &SourceArguments) -> Result<Made> {
        if let Some(path) = arguments.profile {
            let path = profile::store_path(self.context, path)?;
            return Ok(Made { path, source: Source::default(), from: None, stale: None });
        }
        let wanted = arguments.wanted(self.context, None)?;
        let (host, nix) = (&self.context.host, Some(self.nix));
        Request::first(host, nix, name, &wanted).build(None)
    }
}

/// Returns the flake of a recorded source if it can be built here, `None` if there is nothing to build, or why it is left to the
/// host.
fn buildable(source: &Source) -> Result<Option<&str>, &'static str> {
    let Some(flake) = &source.flake else {
        return if source.config.is_some() { Err("its configuration file is there") } else { Ok(None) };
    };
    if local_path(flake.as_str()).is_some() {
        return Err("its flake is there");
    }
    if flake.as_str().contains(MASK) {
        return Err("the password of its source is known there only");
    }
    if !source.nix_args.is_empty() {
        return Err("its source has arguments for Nix, which are not taken from other hosts");
    }
    Ok(Some(flake.as_str()))
}

/// Returns the value of `--built`.
fn built(name: &MachineName, path: &StorePath, source: &Source) -> String {
    let locked = source.locked.as_ref().map(|locked| format!(",{locked}")).unwrap_or_default();
    format!("{name}={path}{locked}")
}

/// Puts words before the arguments for Nix.
fn before_arguments(mut words: Vec<String>, new: Vec<String>) -> Vec<String> {
    let at = words.iter().position(|word| word == "--").unwrap_or(words.len());
    words.splice(at..at, new);
    words
}

/// Returns a call that copies builds to a host, with what they need.
pub(super) fn copy<'a>(
    context: &'a Context,
    target: &Target,
    paths: &[StorePath],
    asks: bool,
) -> Result<Program<'a>> {
    let nix = Nix::find(context)?;
    let options = ssh::options(target, asks).join(" ");
    let call = context.program(nix.path()).args(["--extra-experimental-features", "nix-command flakes"]);
    // Whom the host's Nix trusts may send builds without a signature; from others it still demands one.
    let call = call
        .args(["copy", "--no-check-sigs", "--to", &target.store()])
        .args(paths.iter().map(StorePath::as_str));
    let call = call.variable("NIX_SSHOPTS", Some(&options)).passing_on();
    Ok(if asks { call.may_ask() } else { call })
}

/// Returns the failure of a copy.
pub(super) fn not_copied(target: &Target, why: &Error) -> Error {
    let why = format!("{why:#}");
    let next = match why.contains("signature by a trusted key") {
        true => {
            "; make that user a trusted one of Nix there (trusted-users in nix.conf(5)), or give --build-on-host"
        }
        false => "",
    };
    Failed::Program(format!(
        "{target}: what was built could not be copied there, nothing was changed: {why}{next}"
    ))
    .into()
}
