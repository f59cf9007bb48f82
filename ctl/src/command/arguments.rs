//! Converts command-line arguments to the plain values that operations take.

use std::time::Duration;

use anyhow::Result;
use nixos_nspawn_units::intent;
use nixos_nspawn_units::intent::Expect;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::Kind;
use nixos_nspawn_units::value::Timespan;

use crate::base::exit::Failed;
use crate::base::host::Host;
use crate::change::gate::Expectation;
use crate::change::side_by_side::Limits;
use crate::change::switch_options::Activation;
use crate::cli;
use crate::cli::From;
use crate::decision::reach::Consent;
use crate::fact::jobs;
use crate::fact::lookup::{all_seen, machine_name};
use crate::nix::source::{BuiltElsewhere, SourceArguments};

/// Returns the source that an update builds from.
pub(crate) fn source<'a>(
    from: &'a From,
    nix_args: &'a [String],
    save_args: bool,
    built: &'a [BuiltElsewhere],
) -> SourceArguments<'a> {
    SourceArguments {
        flake: from.flake.as_deref(),
        config: from.config.as_deref(),
        nixpkgs: from.nixpkgs.as_deref(),
        profile: from.profile.as_deref(),
        system: from.system.as_deref(),
        nix_args,
        save_args,
        built,
    }
}

/// Returns what was built elsewhere.
pub(crate) fn built(given: &[String], on_host: bool) -> Result<Vec<BuiltElsewhere>> {
    if on_host {
        return Err(Failed::Usage("--build-on-host needs --host, nothing was changed".to_owned()).into());
    }
    let one = |text: &String| {
        text.parse()
            .map_err(|why| Failed::Usage(format!("--built {text}: {why}, nothing was changed")).into())
    };
    given.iter().map(one).collect()
}

/// Returns how to activate a new generation, and the conditions that the container must meet.
pub(crate) fn activation(given: &cli::Activation) -> Result<Activation<'_>> {
    Ok(Activation {
        strategy: given.strategy.map(strategy),
        expectation: expectation(&given.expected)?,
        keep: given.keep,
    })
}

/// Returns the conditions given on the command line.
pub(crate) fn expectation(given: &cli::Expected) -> Result<Expectation<'_>> {
    let expect = |expect| match expect {
        cli::Expect::Running => Expect::Running,
        cli::Expect::Degraded => Expect::Degraded,
        cli::Expect::Active => Expect::Active,
        cli::Expect::None => Expect::None,
    };
    Ok(Expectation {
        expect: given.expect.map(expect),
        check: given.check.as_deref(),
        limit: limit("--timeout", given.timeout.as_ref())?,
    })
}

/// Returns how many builds and activations may run at the same time.
pub(crate) fn limits(given: &cli::Several) -> Limits {
    let builds = given.jobs.map_or_else(jobs::possible, usize::from);
    Limits { builds, activations: if given.parallel_activation { builds } else { 1 } }
}

/// Returns the additional reach into the host that is accepted.
pub(crate) fn consent(given: Option<&str>) -> Consent<'_> {
    match given {
        None => Consent::Nothing,
        Some(cli::ANY_REACH) => Consent::Anything,
        Some(token) => Consent::Exactly(token),
    }
}

/// Returns the strategy in the intent's terms.
pub(crate) fn strategy(given: cli::Strategy) -> intent::Strategy {
    match given {
        cli::Strategy::None => intent::Strategy::None,
        cli::Strategy::Reload => intent::Strategy::Reload,
        cli::Strategy::Restart => intent::Strategy::Restart,
        cli::Strategy::Dynamic => intent::Strategy::Dynamic,
    }
}

/// Returns the time limit given by an option.
pub(crate) fn limit(option: &str, text: Option<&String>) -> Result<Option<Duration>> {
    let Some(text) = text else { return Ok(None) };
    let span: Timespan = text.parse().map_err(|error| Failed::Usage(format!("{option}: {error}")))?;
    Ok(Some(span.microseconds().map_or(Duration::from_secs(86_400), Duration::from_micros)))
}

/// Returns the containers that the arguments name.
pub(crate) fn names(host: &Host, given: &[String], all: bool, from: &From) -> Result<Vec<MachineName>> {
    if all {
        let loaded = host.load();
        all_seen(&loaded)?;
        return Ok(loaded
            .intents
            .into_iter()
            .filter(|stored| stored.kind == Kind::Imperative)
            .map(|stored| stored.name)
            .collect());
    }
    if given.len() > 1 && (from.flake.is_some() || from.config.is_some() || from.profile.is_some()) {
        return Err(Failed::Usage(
            "--flake, --config and --profile apply to one container only, nothing was changed".to_owned(),
        )
        .into());
    }
    given.iter().map(|name| machine_name(name)).collect()
}
