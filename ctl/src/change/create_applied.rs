//! Creates the new containers of an apply: builds all of them, and then creates one after the other.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use nixos_nspawn_units::name::MachineName;

use crate::base::event::Event;
use crate::base::exit::{Failed, under};
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::applied::Results;
use crate::change::apply_options::ApplyOptions;
use crate::change::create::{AppliedBy, CreateOptions, create_with};
use crate::change::host_flake::HostFlake;
use crate::change::updated::{UpdateResult, Updated};
use crate::host::update_memory::BuiltFrom;
use crate::nix::build::{Draft, Request};
use crate::nix::builds::Build;
use crate::nix::source::{SourceArguments, Wanted};
use crate::nix::tool::Nix;

/// A container that is to be created, with its build.
pub(super) struct New {
    name: MachineName,
    /// The reference to record.
    flake: String,
    owner: Option<u32>,
    /// Nothing is known of a build that was made elsewhere.
    from: Option<BuiltFrom>,
}

fn create_options<'a>(flake: &'a str, owner: Option<u32>, options: &ApplyOptions<'a>) -> CreateOptions<'a> {
    CreateOptions {
        source: SourceArguments { flake: Some(flake), save_args: true, ..options.update.source },
        overrides: None,
        start: false,
        allow_user_store: false,
        allow_taken_ports: options.update.allow_taken_ports,
        applied: Some(AppliedBy { owner }),
        import: None,
    }
}

/// Creates containers one after the other, without a start. Those that fail stay in the list.
pub(super) fn create_all(
    host: &Host,
    nix: &Nix,
    new: &mut Vec<New>,
    options: &ApplyOptions,
    results: &mut Results,
) {
    new.retain(|one| {
        if interrupt::check().is_err() {
            return true;
        }
        let begun = Instant::now();
        let given = create_options(&one.flake, one.owner, options);
        let created = create_with(host, Some(nix), &one.name, &given, one.from.as_ref());
        let failed = created.is_err();
        let result = match created {
            Ok(created) => Updated {
                result: UpdateResult::Created,
                old_generation: None,
                ..Updated::nothing(&one.name, created.intent.generation)
            },
            Err(error) => Updated::failed(&one.name, &error),
        };
        results.insert(one.name.clone(), result.with_time(begun.elapsed()).into());
        failed
    });
}

/// Builds new containers in parallel. A failure is a result. Nothing protects a build from a garbage collection until its
/// container is created, which builds it again then.
pub(super) fn built(
    host: &Host,
    nix: &Nix,
    flake: &HostFlake,
    names: &[MachineName],
    options: &ApplyOptions,
    results: &mut Results,
) -> Vec<New> {
    let begun = Instant::now();
    let mut fail = |name: &MachineName, error: anyhow::Error| {
        let error = under(error, &format!("container '{name}' was not created"), "nothing was changed");
        results.insert(name.clone(), Updated::failed(name, &error).with_time(begun.elapsed()).into());
    };
    let mut new = Vec::new();
    let mut drafts: Vec<(&MachineName, String, Wanted, Draft)> = Vec::new();
    for name in names {
        let Some(attribute) = flake.attributes.get(name) else { continue };
        let recorded = format!("{}#{name}", flake.reference);
        match create_options(&recorded, flake.owner, options).source.wanted(host, None) {
            Ok(wanted) if wanted.built.iter().any(|built| built.name == name.as_str()) => {
                new.push(New { name: name.clone(), flake: recorded, owner: flake.owner, from: None });
            }
            Ok(mut wanted) => {
                wanted.source.owner = flake.owner;
                let draft = Request::first(host, Some(nix), name, &wanted)
                    .draft_of(flake.at.clone(), attribute.clone());
                drafts.push((name, recorded, wanted, draft));
            }
            Err(error) => fail(name, error),
        }
    }
    if drafts.is_empty() {
        return new;
    }
    host.report(Event::Building { names: drafts.iter().map(|(name, ..)| (*name).clone()).collect() });
    let builds: Vec<Build> = drafts
        .iter()
        .map(|(_, _, wanted, draft)| Build {
            what: &draft.what,
            accepted: draft.accepted,
            link: None,
            arguments: &wanted.arguments,
            limit: None,
        })
        .collect();
    let outputs = Mutex::new(BTreeMap::new());
    nix.build_all(&builds, options.limits.builds, &|at, output| {
        outputs.lock().unwrap_or_else(PoisonError::into_inner).insert(at, output);
    });
    let mut outputs = outputs.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (at, (name, flake_of, wanted, draft)) in drafts.iter().enumerate() {
        match outputs.remove(&at) {
            Some(Ok(output)) => {
                let made = Request::first(host, Some(nix), name, wanted).finished(draft.clone(), output);
                new.push(New {
                    name: (*name).clone(),
                    flake: flake_of.clone(),
                    owner: flake.owner,
                    from: made.from,
                });
            }
            Some(Err(unbuilt)) => fail(name, unbuilt.error.into()),
            None => fail(name, Failed::Program("interrupted".to_owned()).into()),
        }
    }
    new
}
