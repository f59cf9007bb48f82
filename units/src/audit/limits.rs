//! How much of the host it can use up, and what runs on the host on its behalf.

use super::facts::Facts;
use super::files::{is_raw, simplified, some};
use super::matter::{Finding, Matter};
use crate::intent::Amount;
use crate::reach::Subject;
use systemd_unit_syntax::words::unit_words;

pub(super) const MATTERS: &[Matter] = &[
    Matter {
        id: "memoryMax",
        settings: &["memoryMax", "memoryHigh", "serviceConfig"],
        weight: 500,
        open: "uses up the host's memory",
        closed: "uses a part of the host's memory at most",
        remedy: Some("set memoryMax"),
        find: memory,
    },
    Matter {
        id: "tasksMax",
        settings: &["tasksMax", "serviceConfig"],
        weight: 200,
        open: "starts very many processes",
        closed: "starts a limited number of processes",
        remedy: Some("set tasksMax to 4096 or less"),
        find: tasks,
    },
    Matter {
        id: "cpuQuota",
        settings: &["cpuQuota", "cpuWeight", "ioWeight", "serviceConfig"],
        weight: 100,
        open: "uses all processors when they are idle",
        closed: "uses some processor time at most",
        remedy: Some("set cpuQuota, and no weight above 100"),
        find: processors,
    },
    Matter {
        id: "rlimits",
        settings: &["rlimits", "oomScoreAdjust"],
        weight: 50,
        open: "is preferred to programs of the host",
        closed: "is not preferred to programs of the host",
        remedy: Some("remove RTPRIO and NICE from rlimits, and a negative oomScoreAdjust"),
        find: preference,
    },
    Matter {
        id: "tmpfs",
        settings: &["tmpfs"],
        weight: 50,
        open: "fills memory by files, beyond any limit",
        closed: "cannot fill memory by files",
        remedy: Some("give tmpfs a size=, or set memoryMax"),
        find: tmpfs,
    },
    Matter {
        id: "activation.reloadScript",
        settings: &["activation.reloadScript"],
        weight: 100,
        open: "has a program run on the host at a reload",
        closed: "has no program run on the host",
        remedy: Some("remove activation.reloadScript"),
        find: |facts| some(facts, "activation.reloadScript", 100),
    },
    Matter {
        id: "requires",
        settings: &["requires", "wants", "unitConfig"],
        weight: 50,
        open: "has units of the host started, or configured",
        closed: "has no unit of the host started",
        remedy: Some("remove requires, wants and unitConfig"),
        find: units,
    },
    Matter {
        id: "serviceConfig",
        settings: &["serviceConfig"],
        weight: 300,
        open: "has settings of its unit of unknown effect",
        closed: "has no settings of its unit of unknown effect",
        remedy: Some("use options in place of serviceConfig, or leave it out"),
        find: service,
    },
];

/// Returns the amount that a setting allows; `None` where it is not set.
fn amount(facts: &Facts, wanted: &str) -> Option<Amount> {
    facts.reach.items().iter().find_map(|item| match &item.subject {
        Subject::Amount { setting, amounts, value: _ } if setting == wanted => {
            Some(amounts.first().copied().unwrap_or(Amount::Unknown))
        }
        _ => None,
    })
}

fn lines(facts: &Facts, wanted: &[&str]) -> Vec<String> {
    let is = |subject: &Subject| matches!(subject, Subject::Amount { setting, .. } if wanted.contains(&setting.as_str()));
    facts.lines(|item| is(&item.subject)).collect()
}

fn memory(facts: &Facts) -> Finding {
    let bounded = |amount: Option<Amount>| match amount {
        None | Some(Amount::Infinite | Amount::Unknown) => 100,
        Some(Amount::Share(share)) if share > 7500 => 50,
        Some(Amount::Share(_) | Amount::Plain(_)) => 0,
    };
    let hard = bounded(amount(facts, "MemoryMax"));
    // Above MemoryHigh= it is slowed down, but not stopped.
    let soft = bounded(amount(facts, "MemoryHigh")).max(40);
    Finding { exposure: hard.min(soft), at_least: 0, details: lines(facts, &["MemoryMax", "MemoryHigh"]) }
}

fn tasks(facts: &Facts) -> Finding {
    let exposure = match amount(facts, "TasksMax") {
        // The template's 16384.
        None => 50,
        Some(Amount::Plain(tasks)) if tasks <= 4096 => 0,
        Some(Amount::Plain(tasks)) if tasks <= 16384 => 50,
        Some(Amount::Share(share)) if share <= 1500 => 50,
        Some(_) => 100,
    };
    Finding { exposure, at_least: 0, details: lines(facts, &["TasksMax"]) }
}

fn processors(facts: &Facts) -> Finding {
    let quota = match amount(facts, "CPUQuota") {
        None | Some(Amount::Infinite | Amount::Unknown) => 50,
        Some(_) => 0,
    };
    let raised = ["CPUWeight", "IOWeight"]
        .iter()
        .any(|setting| !matches!(amount(facts, setting), None | Some(Amount::Plain(0..=100))));
    let details = lines(facts, &["CPUQuota", "CPUWeight", "IOWeight"]);
    Finding { exposure: if raised { 100 } else { quota }, at_least: 0, details }
}

fn preference(facts: &Facts) -> Finding {
    let limits = facts.options.rlimits.iter().map(|(name, _)| format!("Limit{name}"));
    let mut wanted: Vec<String> =
        limits.filter(|name| ["LimitRTPRIO", "LimitNICE"].contains(&name.as_str())).collect();
    if facts.options.oom_score_adjust.is_some_and(|score| score.get() < 0) {
        wanted.push("OOMScoreAdjust".to_owned());
    }
    let names: Vec<&str> = wanted.iter().map(String::as_str).collect();
    Finding { exposure: if names.is_empty() { 0 } else { 100 }, at_least: 0, details: lines(facts, &names) }
}

fn tmpfs(facts: &Facts) -> Finding {
    let is_open = |subject: &Subject| {
        matches!(subject, Subject::Amount { setting, amounts, .. }
            if setting.starts_with("tmpfs ") && amounts.contains(&Amount::Unknown))
    };
    let details: Vec<String> = facts.lines(|item| is_open(&item.subject)).collect();
    // Files in memory count for the limit.
    let limited = memory(facts).exposure == 0;
    Finding { exposure: if details.is_empty() || limited { 0 } else { 100 }, at_least: 0, details }
}

fn units(facts: &Facts) -> Finding {
    let mut found = some(facts, "requires", 50);
    let free = facts.free("unitConfig", &[]);
    if !free.is_empty() {
        found.exposure = 100;
        found.details.extend(free);
    }
    found
}

/// Settings that limits account for.
const LIMITS: &[&str] = &["CPUQuota", "CPUWeight", "IOWeight", "MemoryHigh", "MemoryMax", "TasksMax"];

fn service(facts: &Facts) -> Finding {
    let details = facts.free("serviceConfig", LIMITS);
    let service = &facts.options.service_config;
    let all_devices =
        service.get("DevicePolicy").and_then(|values| values.last()).is_some_and(|policy| policy == "auto");
    let allowed = service.get("DeviceAllow").unwrap_or_default().rsplit(String::is_empty).next();
    let raw = allowed.into_iter().flatten().any(|value| {
        let words = unit_words(value).unwrap_or_default();
        words.first().is_some_and(|device| device.starts_with("block-") || is_raw(&simplified(device)))
    });
    let at_least = if (all_devices || raw) && !facts.in_user_namespace { 95 } else { 0 };
    Finding { exposure: u32::try_from(40 * details.len()).unwrap_or(100).min(100), at_least, details }
}
