//! Who its root is, new privileges, and system calls.

use super::facts::Facts;
use super::matter::{Finding, Matter};
use systemd_unit_syntax::settings::parse_boolean;

pub(super) const MATTERS: &[Matter] = &[
    Matter {
        id: "userNamespacing",
        settings: &["userNamespacing", "nspawnConfig.Exec"],
        weight: 2000,
        open: "its root is the host's root",
        closed: "its users are not users of the host",
        remedy: Some("set userNamespacing"),
        find: user_namespace,
    },
    Matter {
        id: "NoNewPrivileges",
        settings: &["nspawnConfig.Exec"],
        weight: 500,
        open: "users gain rights by programs such as sudo",
        closed: "users gain no rights by programs such as sudo",
        remedy: Some("set nspawnConfig.Exec.NoNewPrivileges"),
        find: new_privileges,
    },
    Matter {
        id: "systemCallFilter",
        settings: &["systemCallFilter", "nspawnConfig.Exec"],
        weight: 500,
        open: "makes system calls that servers hardly need",
        closed: "makes only system calls that servers need",
        remedy: Some("deny these by systemCallFilter, and allow no others"),
        find: system_calls,
    },
    Matter {
        id: "nspawnConfig",
        settings: &["nspawnConfig.Exec", "nspawnConfig.Files", "nspawnConfig.Network"],
        weight: 300,
        open: "has settings of unknown effect",
        closed: "has no settings of unknown effect",
        remedy: Some("use options in place of nspawnConfig, or leave it out"),
        find: free,
    },
];

fn user_namespace(facts: &Facts) -> Finding {
    let free = facts.options.nspawn_config.exec.get("PrivateUsers").and_then(|values| values.last());
    match free {
        _ if !facts.in_user_namespace => Finding { exposure: 100, at_least: 75, details: Vec::new() },
        // The same numbers as on the host, without the host's capabilities.
        Some(users) if users == "identity" || users.starts_with("0:") => Finding {
            exposure: 60,
            at_least: 50,
            details: vec!["has the host's users, without the capabilities of its root".to_owned()],
        },
        _ => Finding::default(),
    }
}

fn new_privileges(facts: &Facts) -> Finding {
    let free = facts.options.nspawn_config.exec.get("NoNewPrivileges").and_then(|values| values.last());
    let none = free.and_then(|value| parse_boolean(value)) == Some(true);
    // Within a user namespace it gains those of the container's root only.
    Finding::new(match (none, facts.in_user_namespace) {
        (true, _) => 0,
        (false, true) => 60,
        (false, false) => 100,
    })
}

/// System calls that nspawn allows and that hardly a server needs, with a history of faults in the kernel;
/// `hardening = "strict"` denies them.
const DENIABLE: [&str; 6] =
    ["io_uring_enter", "io_uring_register", "io_uring_setup", "kcmp", "open_by_handle_at", "userfaultfd"];

fn system_calls(facts: &Facts) -> Finding {
    let free = facts.options.nspawn_config.exec.get("SystemCallFilter").unwrap_or_default();
    let option = facts.options.system_call_filter.as_ref().map(|filter| filter.as_str());
    let filters = || option.into_iter().chain(free.iter().map(String::as_str));
    let words = |denied: bool| {
        filters()
            .filter(move |filter| filter.starts_with('~') == denied)
            .flat_map(|filter| filter.trim_start_matches('~').split_whitespace())
    };
    let denied: Vec<&str> = words(true).collect();
    let in_group =
        |call: &str| denied.contains(&call) || call.starts_with("io_uring") && denied.contains(&"@aio");
    let left: Vec<&str> = DENIABLE.into_iter().filter(|call| !in_group(call)).collect();
    let allowed: Vec<String> = words(false)
        .map(|call| format!("can make system call {call}, which nspawn denies by default"))
        .collect();
    let exposure = u32::try_from(40 * left.len() / DENIABLE.len()).unwrap_or(40);
    if !allowed.is_empty() {
        return Finding { exposure: 100, at_least: 0, details: allowed };
    }
    let details = if left.is_empty() { Vec::new() } else { vec![format!("can make {}", left.join(", "))] };
    Finding { exposure, at_least: 0, details }
}

/// Settings of [Exec], [Files] and [Network] that other rows account for.
const KNOWN: &[&str] = &[
    "AmbientCapability",
    "Capability",
    "DropCapability",
    "IPVLAN",
    "Interface",
    "MACVLAN",
    "NoNewPrivileges",
    "Port",
    "Private",
    "PrivateUsers",
    "PrivateUsersOwnership",
    "SystemCallFilter",
    "VirtualEthernetExtra",
];

fn free(facts: &Facts) -> Finding {
    let mut details = facts.free("nspawnConfig.Exec", KNOWN);
    details.extend(facts.free("nspawnConfig.Files", KNOWN));
    details.extend(facts.free("nspawnConfig.Network", KNOWN));
    Finding { exposure: u32::try_from(40 * details.len()).unwrap_or(100).min(100), at_least: 0, details }
}
