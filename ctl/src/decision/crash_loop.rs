//! Decides whether services inside a container stay up after an activation, from two observations. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::host::manager_inside::{RestartingService, Services};

/// The default time that a service with `Restart=` must have been up, or down, before it is judged.
pub(crate) const SETTLING: Duration = Duration::from_secs(2);

/// The number of restarts since the activation that count as a loop, however short each run was.
const RESTARTS: u32 = 3;

/// The verdict on the services.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stability {
    /// These restart in a loop.
    Looping(BTreeSet<String>),
    /// One has only just started, or waits for its restart.
    Unsettled,
    /// All stay as they are.
    Stable,
}

/// Returns whether a service waits for its restart.
fn waits(service: &RestartingService) -> bool {
    service.sub.starts_with("auto-restart")
}

/// Returns the services that wait for their restart.
pub(crate) fn waiting(services: &Services) -> BTreeSet<String> {
    services.iter().filter(|(_, service)| waits(service)).map(|(unit, _)| unit.clone()).collect()
}

/// Returns services as if none were in a loop, so that a loop from before counts.
pub(crate) fn without_loops(mut services: Services) -> Services {
    services.values_mut().filter(|service| waits(service)).for_each(|service| service.sub.clear());
    services
}

/// Judges the services as they are at `now`. `before` is their state at `begun`, when the activation began; a loop that
/// existed before does not count.
pub(crate) fn stability(
    (before, begun): (&Services, Duration),
    services: &Services,
    now: Duration,
    settling: Duration,
) -> Stability {
    let mut looping = BTreeSet::new();
    let mut unsettled = false;
    for (unit, service) in services {
        let old = before.get(unit);
        if old.is_some_and(waits) {
            continue;
        }
        // systemd counts from 0 when the unit is started by a job, as a switch does.
        let counted = old.map_or(0, |old| if old.restarts <= service.restarts { old.restarts } else { 0 });
        let settled = now.saturating_sub(service.since) >= settling;
        if service.restarts - counted >= RESTARTS || waits(service) && settled {
            looping.insert(unit.clone());
        } else if !settled && (service.since >= begun || waits(service)) {
            unsettled = true;
        }
    }
    match (looping.is_empty(), unsettled) {
        (false, _) => Stability::Looping(looping),
        (true, true) => Stability::Unsettled,
        (true, false) => Stability::Stable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(tenths: u64) -> Duration {
        Duration::from_millis(tenths * 100)
    }

    fn one(sub: &str, restarts: u32, since: u64) -> Services {
        let service = RestartingService { sub: sub.into(), restarts, since: seconds(since) };
        Services::from([("web.service".into(), service)])
    }

    /// The activation began at 10 s.
    fn judged(before: &Services, now: u64, services: &Services) -> Stability {
        stability((before, seconds(100)), services, seconds(now), SETTLING)
    }

    fn looping() -> Stability {
        Stability::Looping(BTreeSet::from(["web.service".to_owned()]))
    }

    #[test]
    fn services_that_were_not_touched_are_stable() {
        let untouched = one("running", 7, 50);
        assert_eq!(judged(&untouched, 101, &untouched), Stability::Stable);
        assert_eq!(judged(&Services::new(), 101, &Services::new()), Stability::Stable);
    }

    #[test]
    fn a_started_service_must_stay_up() {
        let before = one("running", 0, 50);
        assert_eq!(judged(&before, 115, &one("running", 0, 101)), Stability::Unsettled);
        assert_eq!(judged(&before, 121, &one("running", 0, 101)), Stability::Stable);
        assert_eq!(judged(&Services::new(), 115, &one("running", 0, 101)), Stability::Unsettled, "it is new");
    }

    #[test]
    fn a_service_that_waits_long_for_its_restart_loops() {
        let before = Services::new();
        assert_eq!(judged(&before, 115, &one("auto-restart", 0, 111)), Stability::Unsettled);
        assert_eq!(judged(&before, 131, &one("auto-restart", 0, 111)), looping());
        // Started once more, it may stay up.
        assert_eq!(judged(&before, 115, &one("running", 1, 112)), Stability::Unsettled);
        assert_eq!(judged(&before, 132, &one("running", 1, 112)), Stability::Stable);
        assert_eq!(judged(&before, 132, &one("auto-restart-queued", 1, 112)), looping());
    }

    #[test]
    fn a_service_that_is_restarted_quickly_loops() {
        assert_eq!(judged(&Services::new(), 108, &one("running", 3, 107)), looping());
        assert_eq!(judged(&one("running", 5, 50), 108, &one("running", 7, 107)), Stability::Unsettled);
        assert_eq!(judged(&one("running", 5, 50), 108, &one("running", 8, 107)), looping());
        // A job that started it has reset the count.
        assert_eq!(judged(&one("running", 5, 50), 108, &one("running", 1, 107)), Stability::Unsettled);
    }

    #[test]
    fn a_loop_from_before_is_not_counted() {
        let before = one("auto-restart", 40, 90);
        assert_eq!(judged(&before, 140, &one("auto-restart", 44, 110)), Stability::Stable);
        assert_eq!(waiting(&before), BTreeSet::from(["web.service".to_owned()]));
        assert!(waiting(&one("running", 1, 1)).is_empty());
        // Unless it is asked for.
        let before = without_loops(before);
        assert_eq!(judged(&before, 140, &one("running", 43, 139)), looping());
        assert_eq!(judged(&before, 140, &one("auto-restart", 40, 110)), looping());
        assert_eq!(judged(&before, 102, &one("auto-restart", 40, 90)), Stability::Unsettled);
    }
}
