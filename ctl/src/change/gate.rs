//! The gate of an activation: watches until the container has reached the expected state, or fails with the reason
//! when time is up. It changes nothing.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nixos_nspawn_units::intent::{Expect, Intent};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::{Text, shown};

use crate::base::event::{Event, Step};
use crate::base::host::Host;
use crate::base::interrupt;
use crate::base::program::ended;
use crate::change::next::{duration, limit_or_start};
use crate::decision::crash_loop::{SETTLING, Stability, stability, waiting, without_loops};
use crate::host::journal::{CHECK_UNIT, show_journals};
use crate::host::manager_inside::{
    LONG_PATIENCE, Services, failed_units, listed, monotonic, restarting_services, running_jobs, system_state,
};
use crate::host::systemd;

/// The conditions that a container must meet after an activation.
pub(crate) struct Gate<'a> {
    /// The state it must reach.
    pub(crate) expect: Expect,
    /// A command that must succeed inside.
    pub(crate) check: Option<&'a str>,
    /// The time limit.
    pub(crate) limit: Duration,
    /// How long services that have just started must stay up.
    pub(crate) settling: Duration,
    /// The units inside before the activation.
    pub(crate) before: Before,
}

/// The conditions given on the command line, which override those stored with the container.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expectation<'a> {
    /// The state that the container must reach.
    pub(crate) expect: Option<Expect>,
    /// A command that must succeed inside; an empty string disables the check.
    pub(crate) check: Option<&'a str>,
    /// The time limit.
    pub(crate) limit: Option<Duration>,
}

impl<'a> Expectation<'a> {
    /// Returns the conditions that a container with this intent must meet.
    pub(crate) fn gate(&self, intent: &'a Intent, before: Before) -> Gate<'a> {
        let stored = &intent.container.activation;
        let check = self.check.or(stored.check.as_ref().map(Text::as_str));
        let settling = stored.settle_sec.as_ref().map(duration);
        Gate {
            expect: self.expect.unwrap_or(stored.expect),
            check: check.filter(|command| !command.is_empty()),
            limit: self.limit_for(intent),
            settling: settling.unwrap_or(SETTLING),
            before,
        }
    }

    /// Returns the time limit: the given one, the stored one, or the start timeout.
    pub(crate) fn limit_for(&self, intent: &Intent) -> Duration {
        let stored = intent.container.activation.timeout.as_ref().map(duration);
        limit_or_start(self.limit.or(stored), intent)
    }
}

/// The units inside a container before an activation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Before {
    /// Those that had failed.
    failed: BTreeSet<String>,
    /// Services that systemd restarts when they end.
    services: Services,
    /// When they were observed, on the monotonic clock.
    seen: Duration,
}

impl Before {
    /// Observes the units, within `limit`. Without an answer, every failed unit and every restart counts as new.
    pub(crate) fn see(host: &Host, name: &MachineName, limit: Duration) -> Self {
        let end = Instant::now() + limit.min(LONG_PATIENCE);
        let services = restarting_services(host, name, left(end));
        // A container that did not answer is not asked again.
        let failed = match &services {
            Ok(_) => failed_units(host, name, left(end)).unwrap_or_default(),
            Err(_) => BTreeSet::new(),
        };
        Self { failed, services: services.unwrap_or_default(), seen: monotonic() }
    }

    /// Lets services that restart in a loop count, although they did so before.
    pub(crate) fn without_loops(self) -> Self {
        Self { services: without_loops(self.services), ..self }
    }
}

/// Reports how long a container has been watched.
struct Watch<'a> {
    host: &'a Host,
    name: &'a MachineName,
    begun: Instant,
    limit: Duration,
    /// The last second reported.
    told: Cell<u64>,
}

impl Watch<'_> {
    fn end(&self) -> Instant {
        self.begun + self.limit
    }

    /// Sleeps, and reports the elapsed time once a second.
    fn pause(&self, time: Duration) {
        sleep(time);
        let (seconds, limit) = (self.begun.elapsed().as_secs(), self.limit.as_secs());
        if self.told.replace(seconds) != seconds {
            let step = Some(Step::Checking { seconds, limit });
            self.host.report(Event::Progress { name: self.name.clone(), step });
        }
    }
}

/// The polling interval.
const PAUSE: Duration = Duration::from_millis(200);

/// Returns the time limit of one query, so that it ends soon after `end`.
fn left(end: Instant) -> Duration {
    end.saturating_duration_since(Instant::now()).clamp(Duration::from_secs(1), LONG_PATIENCE)
}

/// Waits until the container meets the expectations.
pub(crate) fn pass(host: &Host, name: &MachineName, plan: Option<&str>, gate: &Gate) -> Result<()> {
    if gate.expect == Expect::None && gate.check.is_none() {
        return Ok(());
    }
    healthy(host, name, plan, gate)
}

/// Waits until the container runs, and meets the expectations if there are any.
pub(crate) fn healthy(host: &Host, name: &MachineName, plan: Option<&str>, gate: &Gate) -> Result<()> {
    let watch = Watch { host, name, begun: Instant::now(), limit: gate.limit, told: Cell::new(u64::MAX) };
    alive(host, name, plan)?;
    if matches!(gate.expect, Expect::Running | Expect::Degraded) {
        settled(host, name, plan, gate, &watch)?;
        stay_up(host, name, plan, gate, &watch)?;
    }
    if let Some(command) = gate.check {
        checked(host, name, plan, command, &watch)?;
    }
    Ok(())
}

fn alive(host: &Host, name: &MachineName, plan: Option<&str>) -> Result<()> {
    let state = systemd::state(host, name)?;
    if state.active != "active" {
        bail!("container '{name}' is {} ({})", state.active, state.result);
    }
    if state.plan.as_deref() != plan {
        bail!("systemd has loaded settings of container '{name}' other than those planned");
    }
    Ok(())
}

/// Waits until the system inside is neither starting nor stopping.
fn settled(host: &Host, name: &MachineName, plan: Option<&str>, gate: &Gate, watch: &Watch) -> Result<()> {
    let end = watch.end();
    loop {
        let answer = system_state(host, name, left(end));
        match (answer.as_str(), gate.expect) {
            ("running", _) => return Ok(()),
            ("degraded", Expect::Running) => {
                let failed = failed_units(host, name, left(end)).unwrap_or_default();
                bail!("the system in container '{name}' is degraded: {} failed", listed(&failed));
            }
            // Without a list, ask again: some of the failed units may be new.
            ("degraded", _) => {
                if let Ok(failed) = failed_units(host, name, left(end)) {
                    let new: BTreeSet<String> = failed.difference(&gate.before.failed).cloned().collect();
                    if new.is_empty() {
                        return Ok(());
                    }
                    show_journals(host, name, &new);
                    bail!("{} failed in container '{name}' and had not failed before", listed(&new));
                }
            }
            _ => {}
        }
        if Instant::now() >= end {
            let jobs = if answer.is_empty() { Vec::new() } else { running_jobs(host, name) };
            let answer = if answer.is_empty() { "unreachable".to_owned() } else { shown(&answer) };
            let jobs =
                if jobs.is_empty() { String::new() } else { format!(" (waiting for {})", listed(&jobs)) };
            bail!(
                "the system in container '{name}' is still {answer} after {} s{jobs}",
                gate.limit.as_secs()
            );
        }
        alive(host, name, plan)?;
        watch.pause(PAUSE);
        interrupt::check()?;
    }
}

/// Waits until each service that has just started has stayed up for a while. A service that is restarted whenever it
/// ends is never a failed unit.
fn stay_up(host: &Host, name: &MachineName, plan: Option<&str>, gate: &Gate, watch: &Watch) -> Result<()> {
    let before = &gate.before;
    // A container that became ready at the last moment is still watched for the whole settling time.
    let end = watch.end().max(Instant::now() + gate.settling);
    loop {
        let services = match restarting_services(host, name, left(end)) {
            Ok(services) => services,
            Err(error) if Instant::now() >= end => {
                bail!("the services in container '{name}' cannot be listed: {error:#}")
            }
            Err(_) => {
                alive(host, name, plan)?;
                interrupt::check()?;
                watch.pause(PAUSE);
                continue;
            }
        };
        match stability((&before.services, before.seen), &services, monotonic(), gate.settling) {
            Stability::Stable => return Ok(()),
            Stability::Looping(units) => {
                show_journals(host, name, &units);
                bail!("in container '{name}', {} ends and is restarted again and again", listed(&units));
            }
            // It restarts rarely, and a service that is only starting has not failed.
            Stability::Unsettled if Instant::now() >= end => {
                let units = waiting(&services);
                if units.is_empty() {
                    return Ok(());
                }
                bail!("in container '{name}', {} waits for its restart", listed(&units));
            }
            Stability::Unsettled => {}
        }
        alive(host, name, plan)?;
        watch.pause(PAUSE);
        interrupt::check()?;
    }
}

/// Runs the command inside until it succeeds.
fn checked(host: &Host, name: &MachineName, plan: Option<&str>, command: &str, watch: &Watch) -> Result<()> {
    let end = watch.end();
    // The shell inside reports to standard output as well.
    let script = format!("exec 2>&1; {command}");
    for attempt in 1.. {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
        let status = host
            .manager("systemd-run")
            .arg(format!("--machine={name}"))
            .args(["--quiet", "--collect", "--wait", "--pipe", "--service-type=exec"])
            // The shell inside expands variables; systemd-run would do so before, by the manager's environment.
            .arg("--expand-environment=no")
            .arg(format!("--unit={CHECK_UNIT}{}-{attempt}", std::process::id()))
            .arg(format!("--property=RuntimeMaxSec={}", left.as_secs().max(1)))
            .args(["/bin/sh", "-c", &script])
            .limit(left + Duration::from_secs(1))
            .answer();
        interrupt::check()?;
        let how = match status {
            Ok((status, _)) if status.success() => return Ok(()),
            Ok((status, said)) => [ended(status), last_line(&said)].concat(),
            Err(error) => format!("{error:#}"),
        };
        if Instant::now() + Duration::from_secs(1) >= end {
            bail!("check '{command}' in container '{name}' failed: {how}");
        }
        alive(host, name, plan)?;
        watch.pause(Duration::from_secs(1));
    }
    Ok(())
}

/// Returns the last line of a program's output, for the end of a message.
fn last_line(said: &str) -> String {
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    line.map(|line| format!(": {}", shown(line))).unwrap_or_default()
}
