//! Gathers the state of all containers, once for every command that reports: the plan, what PID 1 has loaded, and
//! what exists on disk. It changes nothing and needs neither privileges nor a running systemd; unknown values are
//! `None`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::{Plan, plan_some};
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::{DIRECTORY, Kind, Loaded};

use crate::base::host::Host;
use crate::fact::installation::generator_fault;
use crate::fact::overview::{Container, Fault, Overview};
use crate::fact::taken_ports::Listening;
use crate::fact::traces::traces;
use crate::fact::{dependents, running_settings};
use crate::host::forwards::Forwards;
use crate::host::profile_links::profile_link;
use crate::host::systemd::UnitState;
use crate::host::unit_links::{all_enabled_links, masked, system_path};
use crate::host::update_memory::UpdateMemory;
use crate::host::{addresses, journal, machined, sockets, unit_states};

impl Overview {
    /// Gathers the state of all containers.
    pub(crate) fn gather(host: &Host) -> Result<Self> {
        Self::gather_some(host, &|_| true)
    }

    /// Gathers the state of the containers that are wanted. The others are only read, since one may conflict with another.
    pub(crate) fn gather_some(host: &Host, wanted: &dyn Fn(&MachineName) -> bool) -> Result<Self> {
        let loaded = host.load();
        let plan = plan_some(&loaded, wanted);
        let faults = loaded.errors.iter().filter(|error| error.name.is_none()).map(|error| Fault {
            kind: error.kind,
            text: error.to_string(),
            hides: error.hides_containers(),
            denied: forbidden(host, &host.path(&error.path)),
        });
        let mut overview = Self {
            faults: faults.collect(),
            containers: planned(&plan, &loaded),
            plan,
            unknown_states: None,
            unknown_addresses: None,
            generator_fault: None,
        };
        overview.add_traces(host, wanted);
        overview.add_what_lies_about(host, &loaded);
        overview.add_states(host)?;
        overview.add_addresses(host);
        overview.add_ports(host, &loaded);
        Ok(overview)
    }

    fn add_traces(&mut self, host: &Host, wanted: &dyn Fn(&MachineName) -> bool) {
        let all_seen = !self.faults.iter().any(|fault| fault.hides);
        let traces = traces(host).unwrap_or_else(|error| {
            // Otherwise it has been said that the directory cannot be read.
            if all_seen {
                self.faults.push(Fault::unseen(&error));
            }
            Vec::new()
        });
        for (name, unfinished) in traces.into_iter().filter(|(name, _)| wanted(name)) {
            let known = self.containers.contains_key(&name);
            // A running container that is not recorded may be recorded in a directory that the caller cannot read.
            if unfinished.is_none() && (known || !all_seen) {
                continue;
            }
            let container = self
                .containers
                .entry(name.clone())
                .or_insert_with(|| Container::new(name.clone(), Kind::Imperative));
            container.unfinished = unfinished;
            if unfinished.is_none() {
                container.warnings.push(format!(
                    "still runs, but no longer has a file in {DIRECTORY}; 'systemctl stop {}' stops it",
                    unit_name(&name)
                ));
            }
        }
    }

    fn add_what_lies_about(&mut self, host: &Host, loaded: &Loaded) {
        let mut enabled = all_enabled_links(host).unwrap_or_else(|error| {
            self.faults.push(Fault::unseen(&error));
            BTreeMap::new()
        });
        let mut twice: BTreeMap<&MachineName, Vec<String>> = BTreeMap::new();
        for error in loaded.errors.iter().filter(|error| error.shadowed) {
            if let Some(name) = &error.name {
                twice.entry(name).or_default().push(error.to_string());
            }
        }
        for (name, container) in &mut self.containers {
            let links = enabled.remove(&unit_name(name)).unwrap_or_default();
            container.enabled_links = links.iter().map(|link| system_path(host, link)).collect();
            container.masked = masked(host, name);
            container.unreadable = container.refusal.is_some()
                && container.intent_file.as_ref().is_some_and(|path| forbidden(host, &host.path(path)));
            container.warnings.extend(twice.remove(name).unwrap_or_default());
            let foreign = format!("{}/{name}.nspawn", host.scope.nspawn_files[0]);
            if container.intent_file.is_some() && exists(&host.path(&foreign)) {
                container.warnings.push(format!(
                    "{foreign} would be used in place of the settings of nixos-nspawn, so the start is refused; \
                     remove the file"
                ));
            }
            let Some(intent) = &container.intent else { continue };
            if let Some(folder) =
                profile_link(host, name, intent).parent().filter(|_| container.kind == Kind::Imperative)
            {
                match UpdateMemory::read(host, name, folder) {
                    Ok(memory) => container.memory = memory,
                    Err(error) => container.warnings.push(format!("{error:#}")),
                }
            }
            container.warnings.extend(dependents::missing(host, loaded, intent));
            // An offline tree may have no store.
            let store = host.path("/nix/store");
            if store.is_dir() && !exists(&host.path(intent.toplevel.init())) {
                container.warnings.push(gone_text(name, container.kind, intent));
            }
        }
    }

    fn add_states(&mut self, host: &Host) -> Result<()> {
        if !host.booted() {
            return Ok(());
        }
        let names: Vec<MachineName> = self.containers.keys().cloned().collect();
        let mut states = match unit_states::states(host, &names) {
            Ok(states) => states,
            Err(error) => {
                crate::base::interrupt::check()?;
                self.unknown_states = Some(format!("{error:#}"));
                return Ok(());
            }
        };
        // Sockets are queried only if there are any.
        let sockets = self.containers.values().any(|container| {
            let ports = container.intent.iter().flat_map(|intent| &intent.container.forward_ports);
            ports.into_iter().any(|port| !port.by_nspawn())
        });
        let sockets = if sockets { sockets::known(host)? } else { BTreeMap::new() };
        let failed = |container: &Container, state: &UnitState| {
            state.active == "failed" && container.refusal.is_none() && !state.invocation.is_empty()
        };
        let runs = self.containers.iter().filter_map(|(name, container)| {
            states.get(name).filter(|state| failed(container, state)).map(|state| state.invocation.as_str())
        });
        let mut refusals = journal::refusals(host, &runs.collect());
        let mut unloaded = false;
        for (name, container) in &mut self.containers {
            let Some(state) = states.remove(name) else { continue };
            let loaded = state.plan.as_deref();
            container.reload_needed = container.intent_file.is_some()
                && (loaded != container.hash.as_deref() || state.need_reload)
                && !container.unreadable
                // Nothing is loaded of a masked unit (systemd.unit(5)).
                && !container.masked;
            unloaded |= container.hash.is_some() && loaded.is_none() && !container.masked;
            if !state.stopped() && container.hash.is_some() {
                container.restart_needed = running_settings::runs_otherwise(host, container);
            }
            if let Some(intent) = &container.intent {
                let active = state.active == "active";
                container.warnings.extend(sockets::not_open(name, intent, &sockets, active)?);
            }
            if failed(container, &state) {
                container.why_failed = refusals.remove(&state.invocation);
            }
            container.state = Some(state);
        }
        // A container that has just stopped and is not recorded no longer exists.
        self.containers.retain(|_, container| {
            container.intent_file.is_some()
                || container.unfinished.is_some()
                || container.runs()
                || container.state.is_none()
        });
        if unloaded {
            self.generator_fault = generator_fault(host);
            let helps = self.generator_fault.is_none();
            self.containers.values_mut().for_each(|container| container.reload_helps = helps);
        }
        Ok(())
    }
}

impl Overview {
    /// Adds the addresses of running containers, from the kernel, or for ordinary users from machined.
    fn add_addresses(&mut self, host: &Host) {
        let mut asked = None;
        for (name, container) in self.containers.iter_mut().filter(|(_, one)| one.runs()) {
            container.addresses = addresses::addresses(host, name).unwrap_or_else(|| {
                let all = asked.get_or_insert_with(|| {
                    machined::all_addresses(host).unwrap_or_else(|error| {
                        self.unknown_addresses = Some(format!("{error:#}"));
                        BTreeMap::new()
                    })
                });
                all.get(name).cloned().unwrap_or_default()
            });
        }
    }

    /// Adds warnings about the host's ports: services that listen on them as well, and forwards that a firewall has
    /// removed.
    fn add_ports(&mut self, host: &Host, loaded: &Loaded) {
        let runs =
            |container: &Container| container.state.as_ref().is_some_and(|state| state.active == "active");
        // A container without ports is masqueraded as well.
        let connected = |container: &Container| {
            container.intent.as_ref().is_some_and(|intent| intent.container.has_virtual_ethernet())
        };
        if !host.booted() || !self.containers.values().any(|one| runs(one) && connected(one)) {
            return;
        }
        let listening = Listening::read(host, loaded);
        // Only doctor says that nft fails.
        let forwards = Forwards::read(host).ok().flatten();
        for (name, container) in self.containers.iter_mut().filter(|(_, one)| runs(one)) {
            let Some(intent) = &container.intent else { continue };
            let taken = listening.taken(host, &intent.container, None).into_iter();
            container.warnings.extend(taken.map(|taken| {
                format!(
                    "port {} is also in use by {}; connections from outside reach only one of them",
                    taken.port,
                    taken.holder()
                )
            }));
            let gone = forwards
                .iter()
                .flat_map(|forwards| forwards.missing(host, name, intent, &container.addresses));
            container.warnings.extend(gone);
        }
    }
}

/// Returns the containers of the plan.
fn planned(plan: &Plan, loaded: &Loaded) -> BTreeMap<MachineName, Container> {
    let good =
        loaded.intents.iter().map(|stored| (&stored.name, stored.path.as_str(), Some(&*stored.intent)));
    let bad = loaded.errors.iter().filter(|error| !error.shadowed);
    let bad = bad.filter_map(|error| Some((error.name.as_ref()?, error.path.as_str(), None)));
    let files: BTreeMap<&MachineName, (&str, Option<&Intent>)> =
        good.chain(bad).map(|(name, path, intent)| (name, (path, intent))).collect();
    let mut containers = BTreeMap::new();
    for planned in &plan.containers {
        let mut container = Container::new(planned.name.clone(), planned.kind);
        let file = files.get(&planned.name);
        container.intent_file = file.map(|(path, _)| (*path).to_owned());
        container.intent = file.and_then(|(_, intent)| intent.cloned());
        container.hash.clone_from(&planned.hash);
        container.autostart = planned.autostart;
        container.refusal.clone_from(&planned.refusal);
        container.warnings.clone_from(&planned.warnings);
        containers.insert(planned.name.clone(), container);
    }
    containers
}

/// Returns the warning that a system is gone, with what brings one back.
fn gone_text(name: &MachineName, kind: Kind, intent: &Intent) -> String {
    let remedy = match kind {
        Kind::Imperative => format!(
            "'nixos-nspawn update {name}' builds it again, 'nixos-nspawn rollback {name}' goes back to another one"
        ),
        Kind::Declarative => "'nixos-rebuild switch' builds it again".to_owned(),
    };
    format!("{} is gone from the store; {remedy}", intent.toplevel)
}

/// Returns whether the file cannot be read because of the caller's permissions.
fn forbidden(host: &Host, path: &Path) -> bool {
    !host.is_owner()
        && fs::File::open(path).is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
