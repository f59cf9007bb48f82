//! Judges whether systemd has loaded what the generator planned, and the files that it plans from.

use nixos_nspawn_units::name::MachineName;

use crate::decision::doctor::fix::Fix;
use crate::decision::doctor::verdict::{Check, Verdict};
use crate::decision::doctor::words::{are, containers, counted};
use crate::fact::doctor::seen::Unseen;
use crate::fact::overview::{Container, Overview};

const UNITS: Check = Check::of_containers("units");

/// Returns that the units were not looked at.
pub(crate) fn not_booted() -> Verdict {
    Verdict::note(UNITS, "not checked: systemd does not run here", "")
}

/// Judges the units of all containers; nothing if systemd does not run.
pub(crate) fn units(overview: &Overview) -> Option<Verdict> {
    if let Some(why) = &overview.unknown_states {
        return Some(Verdict::unseen(UNITS, &Unseen { why: why.clone(), needs_root: false }));
    }
    let asked: Vec<&Container> = overview.containers.values().filter(|one| one.state.is_some()).collect();
    if asked.is_empty() {
        return overview.containers.is_empty().then(|| Verdict::ok(UNITS, "no container is recorded"));
    }
    let stale: Vec<&&Container> = asked.iter().filter(|container| container.reload_needed).collect();
    let names: Vec<&MachineName> = stale.iter().map(|container| &container.name).collect();
    if names.is_empty() {
        let known = asked.iter().filter(|container| container.hash.is_some()).count();
        let text = format!("systemd has loaded what is planned for {}", counted(known, "container"));
        return Some(Verdict::ok(UNITS, text));
    }
    let text = format!("systemd has not loaded what is planned for {}", containers(&names));
    Some(match stale.iter().all(|container| container.reload_helps) {
        true => Verdict::warning(UNITS, text, "systemctl daemon-reload").fixed_by(Fix::Reload),
        // The check of the generator says why.
        false => Verdict::failure(UNITS, text, "repair the generator first"),
    })
}

/// Judges the files in /etc/nixos-nspawn.
pub(crate) fn intents(overview: &Overview) -> Vec<Verdict> {
    const CHECK: Check = Check::of_host("intents");
    let mut verdicts: Vec<Verdict> = overview
        .faults
        .iter()
        .map(|fault| match fault.hides {
            true if fault.denied => {
                Verdict::unseen(CHECK, &Unseen { why: fault.text.clone(), needs_root: true })
            }
            true => Verdict::failure(CHECK, &fault.text, "nixos-nspawn verify"),
            false => Verdict::warning(CHECK, &fault.text, "nixos-nspawn verify"),
        })
        .collect();
    for container in overview.containers.values() {
        let Some(reason) = &container.refusal else { continue };
        let name = &container.name;
        verdicts.push(match container.unreadable {
            true => {
                let why = format!("container '{name}': {reason}");
                Verdict::unseen(CHECK, &Unseen { why, needs_root: true })
            }
            false => Verdict::failure(
                CHECK,
                format!("container '{name}' does not start: {reason}"),
                "nixos-nspawn verify",
            ),
        });
    }
    if verdicts.is_empty() {
        let text = match overview.containers.values().filter(|one| one.intent_file.is_some()).count() {
            0 => "no container is recorded".to_owned(),
            count => format!("{} {} recorded, and can be used", counted(count, "container"), are(count)),
        };
        verdicts.push(Verdict::ok(CHECK, text));
    }
    verdicts
}

/// Replaces what checks found well, or only noted, if this caller may not see the containers: nobody knows then.
pub(crate) fn without_the_unseen(verdicts: Vec<Verdict>, overview: &Overview) -> Vec<Verdict> {
    let Some(fault) = overview.denied() else { return verdicts };
    let reason = Unseen { why: fault.text.clone(), needs_root: true };
    let mut all: Vec<Verdict> =
        verdicts.into_iter().map(|verdict| verdict.without_containers(&reason)).collect();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use nixos_nspawn_units::plan::Plan;
    use nixos_nspawn_units::store::Kind;

    use super::*;
    use crate::decision::doctor::verdict::Level;
    use crate::fact::overview::Fault;
    use crate::host::systemd::UnitState;

    fn overview(change: impl Fn(&mut Container)) -> Overview {
        let mut container = Container::new("web".parse().unwrap(), Kind::Imperative);
        container.intent_file = Some("/etc/nixos-nspawn/web.json".into());
        container.hash = Some("abc".into());
        container.state = Some(UnitState::default());
        change(&mut container);
        Overview {
            containers: BTreeMap::from([(container.name.clone(), container)]),
            faults: Vec::new(),
            plan: Plan::default(),
            unknown_states: None,
            unknown_addresses: None,
            generator_fault: None,
        }
    }

    #[test]
    fn loaded_and_planned() {
        let loaded = units(&overview(|_| {})).unwrap();
        assert_eq!((loaded.level, loaded.fix), (Level::Ok, None));
        let stale = units(&overview(|one| one.reload_needed = true)).unwrap();
        assert_eq!((stale.level, stale.fix), (Level::Warning, Some(Fix::Reload)));
        assert_eq!(stale.text, "systemd has not loaded what is planned for container 'web'");
        let helpless = units(&overview(|one| (one.reload_needed, one.reload_helps) = (true, false))).unwrap();
        assert_eq!((helpless.level, helpless.fix), (Level::Failure, None));
        assert_eq!(units(&overview(|one| one.state = None)), None);
        let unknown = Overview { unknown_states: Some("systemctl: failed".into()), ..overview(|_| {}) };
        assert_eq!(units(&unknown).unwrap().text, "not checked: systemctl: failed");
    }

    #[test]
    fn files_that_cannot_be_used() {
        let levels = |overview: &Overview| intents(overview).iter().map(|one| one.level).collect::<Vec<_>>();
        let mut good = overview(|_| {});
        assert_eq!(levels(&good), [Level::Ok]);
        let fault = |hides| Fault { kind: Kind::Imperative, text: "/etc/x: y".into(), hides, denied: false };
        good.faults = vec![fault(true), fault(false)];
        assert_eq!(levels(&good), [Level::Failure, Level::Warning]);
        let refused = |unreadable| {
            overview(|one| (one.refusal, one.unreadable) = (Some("/etc/x: is bad".into()), unreadable))
        };
        assert_eq!(levels(&refused(false)), [Level::Failure]);
        assert_eq!(levels(&refused(true)), [Level::Note]);
    }

    #[test]
    fn what_a_user_may_not_see() {
        let mut hidden = overview(|_| {});
        let found = || {
            vec![
                Verdict::ok(Check::of_containers("names"), "x"),
                Verdict::note(Check::of_containers("roots"), "x", "rm x"),
                Verdict::note(Check::of_containers("roots"), "y", "rm y"),
                Verdict::warning(Check::of_containers("sources"), "x", ""),
                Verdict::ok(Check::of_host("journal"), "x"),
            ]
        };
        let fault = |denied| Fault { kind: Kind::Imperative, text: "/etc/x: y".into(), hides: true, denied };
        hidden.faults = vec![fault(false)];
        assert_eq!(without_the_unseen(found(), &hidden), found());
        hidden.faults = vec![fault(true)];
        let all: Vec<_> = without_the_unseen(found(), &hidden).into_iter().map(|one| one.text).collect();
        let unseen = "not checked: /etc/x: y";
        assert_eq!(all, [unseen, unseen, "x", "x"]);
        let verdict = &intents(&hidden)[0];
        assert_eq!((verdict.level, verdict.text.as_str()), (Level::Note, unseen));
        assert_eq!(verdict.next.as_deref(), Some("sudo nixos-nspawn doctor"));
    }
}
