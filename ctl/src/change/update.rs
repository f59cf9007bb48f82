//! Updates a container: builds it from its recorded source or another one, and switches to the result. What cannot be
//! checked beforehand is watched afterwards, and reverted if it fails.

use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::intent::{Intent, Strategy};
use nixos_nspawn_units::name::MachineName;

use crate::base::event::Event;
use crate::base::exit::under;
use crate::base::failpoint::failpoint;
use crate::base::host::Host;
use crate::base::interrupt;
use crate::change::gate::{Before, Expect};
use crate::change::next::{
    Next, check_ports, decision, newest, next, profile_folder, ready, same_but_source, unlocked,
};
use crate::change::planned::Planned;
use crate::change::profile_steps::{align_profile, remove_pending};
use crate::change::reach::Approved;
use crate::change::switch::{Activation, Switch, Target};
use crate::change::updated::{UpdateResult, Updated};
use crate::change::{reach, settle};
use crate::decision::activation::{Action, Decision};
use crate::decision::reach::Consent;
use crate::fact::lookup::imperative;
use crate::fact::{dependents, host_network, setuid_places};
use crate::host::lock::Lock;
use crate::host::record::{Begun, Record, RecordDetails};
use crate::host::{credentials, host_file, intent_file, systemd};
use crate::nix::source::SourceArguments;
use crate::nix::tool::Nix;

/// The options of an update.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UpdateOptions<'a> {
    /// The source of the new system.
    pub(crate) source: SourceArguments<'a>,
    /// How it is activated.
    pub(crate) activation: Activation<'a>,
    /// The additional reach into the host that is accepted.
    pub(crate) consent: Consent<'a>,
    /// Whether to accept forwards of ports that a service of the host uses.
    pub(crate) allow_taken_ports: bool,
}

/// Updates one container: builds, checks, switches.
pub(crate) fn update(host: &Host, nix: &Nix, name: &MachineName, options: &UpdateOptions) -> Result<Updated> {
    let _lock = settle::lock(host, name)?;
    let loaded = host.load();
    let old = imperative(&loaded, name)?;
    ready(host, name, old)?;
    align_profile(host, nix, old);
    let directory = profile_folder(host, name, old);
    let details = RecordDetails {
        profile_directory: directory.clone(),
        old_intent: std::fs::read_to_string(crate::host::intent_file::intent_path(host, name))?,
        newest_generation: newest(host, name, old)?,
        ran: !systemd::state(host, name)?.stopped(),
        ..RecordDetails::default()
    };
    let mut record = Record::begin(host, name, Begun::Updating, details)?;
    let prepared = prepare(host, nix, name, old, options, &directory);
    let (next, decision, only_takes_away) = match prepared {
        Ok(Prepared::Switch(next, decision, only_takes_away)) => (next, decision, only_takes_away),
        Ok(Prepared::Nothing) => {
            remove_pending(host, &directory);
            record.finish(host)?;
            return Ok(Updated::nothing(name, old.generation));
        }
        Err(error) => {
            interrupt::clean_up_begins();
            remove_pending(host, &directory);
            record.finish(host)?;
            interrupt::clean_up_ends();
            return Err(under(error, &format!("container '{name}' was not updated"), "nothing was changed"));
        }
    };
    let before = old.generation;
    let switch = Switch {
        host,
        nix,
        name,
        target: Target::New(next.profile),
        decision,
        activation: options.activation,
        before: Before::default(),
        new: next.intent,
        only_takes_away,
    };
    let switched = switch.run(&mut record)?;
    Ok(Updated::switched(name, before, switched, UpdateResult::Updated))
}

enum Prepared {
    /// And whether the change only takes reach away.
    Switch(Box<Next>, Decision, bool),
    Nothing,
}

/// Builds and checks; creates nothing except the link of the build.
fn prepare(
    host: &Host,
    nix: &Nix,
    name: &MachineName,
    old: &Intent,
    options: &UpdateOptions,
    directory: &Path,
) -> Result<Prepared> {
    let below = host.path(directory);
    std::fs::create_dir_all(&below).with_context(|| below.display().to_string())?;
    let next = next(host, nix, name, old, &options.source, Some(&directory.join("pending")))?;
    failpoint("built");
    if same_but_source(old, &next.intent) {
        if unlocked(old) != unlocked(&next.intent) {
            let _global = Lock::global(host)?;
            intent_file::write(host, name, &next.intent)?;
            drop(_global);
            // The drop-in names the file in SourcePath=, so systemctl would warn that it has changed.
            if let Err(error) = systemd::daemon_reload(host) {
                host.report(Event::SourceNotLoaded { name: name.clone(), error: format!("{error:#}") });
            }
        }
        return Ok(Prepared::Nothing);
    }
    let changes = reach::check(host, name, [old, &next.intent], options.consent, Approved::No)?;
    host_network::check_uplinks(host, name, &next.intent.container)?;
    let loaded = host_file::load(host)?;
    check_ports(host, &loaded, name, Some(old), &next.intent, options.allow_taken_ports)?;
    intent_file::check(&loaded, name, &next.intent)?;
    let notes = setuid_places::warning(host, name, &next.intent, Some(old)).into_iter();
    for text in notes.chain(dependents::unknown_names(&loaded, &next.intent)) {
        host.report(Event::Note { name: name.clone(), text });
    }
    let runs = !systemd::state(host, name)?.stopped();
    let decision = decision(host, name, old, &next.intent, options.activation.strategy, runs)?;
    if decision.action == Action::Restart {
        credentials::check_credentials(host, name, &next.intent)?;
    }
    if options.activation.expect == Expect::None
        && decision.action == Action::AtNextStart
        && options.activation.check.is_some()
    {
        host.report(Event::CheckSkipped);
    }
    Ok(Prepared::Switch(Box::new(next), decision, changes.only_takes_away()))
}

/// Finds out what an update would change and do, by the same steps. It changes nothing but the Nix store.
pub(crate) fn plan(
    host: &Host,
    nix: &Nix,
    name: &MachineName,
    source: &SourceArguments,
    given: Option<Strategy>,
) -> Result<Planned> {
    let loaded = host_file::load(host)?;
    let old = imperative(&loaded, name)?;
    let next = next(host, nix, name, old, source, None)?;
    if same_but_source(old, &next.intent) {
        return Ok(Planned::nothing(name, old.generation));
    }
    intent_file::check(&loaded, name, &next.intent)?;
    let runs = !systemd::state(host, name)?.stopped();
    let decision = decision(host, name, old, &next.intent, given, runs)?;
    let mut planned = Planned::of(host, name, [old, &next.intent], decision, None, Approved::No)?;
    planned.notes.extend(dependents::unknown_names(&loaded, &next.intent));
    Ok(planned)
}
