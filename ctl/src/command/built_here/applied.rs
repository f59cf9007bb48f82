//! Builds here what an apply on another host needs: the containers that the flake has for that host.

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use serde::Deserialize;

use super::asked::ask;
use super::{ForHost, Here, before_arguments, built};
use crate::base::event::Event;
use crate::base::exit::Failed;
use crate::base::interrupt;
use crate::base::remote::Target;
use crate::base::secrets::MASK;
use crate::cli::Apply;
use crate::decision::host_flake::is_for;
use crate::nix::build::Request;
use crate::nix::cause::Unbuilt;
use crate::nix::flake::Flake;
use crate::nix::host_containers::{Hosts, containers};
use crate::nix::local_path::local_path;
use crate::nix::source::SourceArguments;
use crate::nix::tool::Outcome;

/// What an apply on the host would go by.
#[derive(Debug, Deserialize)]
struct OfApply {
    host_names: Vec<String>,
    flake: Option<String>,
}

impl Here<'_> {
    /// Builds the containers that a flake has for the host. The host resolves the flake itself, to find out what is gone from it.
    pub(super) fn applied(
        &self,
        target: &Target,
        apply: &Apply,
        words: &[String],
        asks: bool,
    ) -> Result<ForHost> {
        let status = ask(self.context, target, &["status", "--json"], asks)?;
        let OfApply { host_names, flake } =
            serde_json::from_str(&status).context("unexpected answer of 'status'")?;
        let as_it_is = || Ok(ForHost { words: words.to_vec(), paths: Vec::new() });
        let flake = match (&apply.flake, flake) {
            (Some(flake), _) => {
                let flake = Flake::parse(flake, &std::env::current_dir()?)?;
                if local_path(&flake.reference).is_some() {
                    let why = format!(
                        "{target} applies the flake itself and cannot read the files of this host, nothing was changed; \
                         name it as the host can read it, such as git+https://…"
                    );
                    return Err(Failed::Usage(why).into());
                }
                flake.recorded()
            }
            (None, Some(flake)) if local_path(&flake).is_none() && !flake.contains(MASK) => flake,
            (None, Some(flake)) => {
                let why = match local_path(&flake).is_some() {
                    true => "their flake is there",
                    false => "the password of their flake is known there only",
                };
                self.context.screen.tell(&format!("{target}: the containers are built there: {why}"));
                return as_it_is();
            }
            // The host says what is missing.
            (None, None) => return as_it_is(),
        };
        let arguments = SourceArguments {
            flake: Some(&flake),
            system: Some(self.system),
            nix_args: &apply.nix_args,
            ..SourceArguments::default()
        };
        let wanted = arguments.wanted(self.context, None)?;
        let at = match self.nix.resolve(&flake, None, &wanted.arguments, "")? {
            Outcome::At(at) => at,
            Outcome::Unreachable(reason) => return Err(Failed::Program(reason).into()),
        };
        let (mut new, mut paths) = (Vec::new(), Vec::new());
        for (name, container) in containers(self.nix, &at, self.system, None, &wanted.arguments)? {
            let (Ok(machine), false) =
                (name.parse::<MachineName>(), !apply.names.is_empty() && !apply.names.contains(&name))
            else {
                continue;
            };
            if !matches!(&container.hosts, Hosts::Every)
                && !matches!(&container.hosts, Hosts::Named(hosts) if is_for(hosts, &host_names))
            {
                continue;
            }
            let host = &self.context.host;
            let request = Request::first(host, Some(self.nix), &machine, &wanted);
            let draft = request.draft_of(at.clone(), container.attribute);
            host.report(Event::Building { names: vec![machine.clone()] });
            let output = self.nix.build(&draft.what, None, None, &wanted.arguments, None);
            match output.map_err(Unbuilt::error) {
                Ok(output) => {
                    let made = request.finished(draft, output);
                    new.extend(["--built".to_owned(), built(&machine, &made.path, &made.source)]);
                    paths.push(made.path);
                }
                // One that fails does not keep the others from being applied.
                Err(error) => {
                    interrupt::check()?;
                    let text = format!("{target}: '{machine}' is built there, since it failed here: {error}");
                    self.context.screen.tell(&text);
                }
            }
        }
        Ok(ForHost { words: before_arguments(words.to_vec(), new), paths })
    }
}
