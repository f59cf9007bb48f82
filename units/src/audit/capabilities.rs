//! Capabilities (`capabilities(7)`), in groups of the same kind. In a user namespace, the kernel grants most of them only
//! over what belongs to the namespace, and the rest not at all.

use super::facts::Facts;
use super::matter::{Finding, Matter};

/// Capabilities that count together.
struct Group {
    names: &'static [&'static str],
    /// How far they are open in a user namespace, in percent: 5 where the kernel asks for them in the host's.
    inside: u32,
    /// The least score, in tenths, without one.
    at_least: u32,
}

impl Group {
    fn find(&self, facts: &Facts) -> Finding {
        let held = self.names.iter().filter(|name| facts.held.contains(*name));
        let held: Vec<String> = held.map(|name| format!("has {name}")).collect();
        let share = 100 * held.len() / self.names.len().max(1);
        let share = u32::try_from(share).unwrap_or(100);
        let inside = facts.in_user_namespace;
        Finding {
            exposure: if inside { (share * self.inside).div_ceil(100) } else { share },
            at_least: if inside || held.is_empty() { 0 } else { self.at_least },
            // One is the row itself.
            details: if self.names.len() > 1 { held } else { Vec::new() },
        }
    }
}

/// Makes the row of a group, named after its first capability.
macro_rules! group {
    ($weight:literal, $inside:literal, $at_least:literal, [$first:literal $(, $more:literal)*], $open:literal, $closed:literal, $remedy:expr) => {{
        const GROUP: Group =
            Group { names: &[$first $(, $more)*], inside: $inside, at_least: $at_least };
        Matter {
            id: $first,
            settings: &["capabilities"],
            weight: $weight,
            open: $open,
            closed: $closed,
            remedy: $remedy,
            find: |facts| GROUP.find(facts),
        }
    }};
}

const DROP: Option<&str> = Some("add it to capabilities.drop");
const DO_NOT_ADD: Option<&str> = Some("remove it from capabilities.add");

pub(super) const MATTERS: &[Matter] = &[
    group!(
        1000,
        30,
        0,
        ["CAP_SYS_ADMIN"],
        "mounts file systems, administers namespaces",
        "cannot mount file systems",
        None
    ),
    group!(500, 5, 100, ["CAP_SYS_MODULE"], "loads kernel modules", "cannot load kernel modules", DO_NOT_ADD),
    group!(
        500,
        5,
        95,
        ["CAP_SYS_RAWIO"],
        "uses raw I/O ports and memory",
        "cannot use raw I/O ports and memory",
        DO_NOT_ADD
    ),
    group!(500, 30, 0, ["CAP_SYS_PTRACE"], "debugs its processes", "cannot debug its processes", DROP),
    group!(
        500,
        5,
        0,
        ["CAP_BPF", "CAP_PERFMON"],
        "loads BPF programs, and measures the kernel",
        "cannot load privileged BPF programs",
        DO_NOT_ADD
    ),
    group!(
        500,
        10,
        0,
        ["CAP_DAC_READ_SEARCH"],
        "opens files by handles, past its own root",
        "cannot open files by handles",
        DROP
    ),
    group!(500, 5, 0, ["CAP_MKNOD"], "makes device nodes", "cannot make device nodes", DROP),
    group!(
        500,
        30,
        0,
        ["CAP_NET_ADMIN"],
        "configures its network and packet filter",
        "cannot configure its network",
        None
    ),
    group!(
        300,
        20,
        0,
        ["CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_SETFCAP"],
        "its root ignores owners and modes of files",
        "its root obeys owners and modes of files",
        None
    ),
    group!(
        300,
        20,
        0,
        ["CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID"],
        "its root becomes any user",
        "its root cannot become another user",
        None
    ),
    group!(
        300,
        5,
        0,
        ["CAP_SYS_TIME", "CAP_WAKE_ALARM"],
        "sets the host's clock, or wakes it up",
        "cannot set the host's clock",
        DO_NOT_ADD
    ),
    group!(
        300,
        5,
        0,
        ["CAP_MAC_ADMIN", "CAP_MAC_OVERRIDE"],
        "changes the host's mandatory access control",
        "cannot change mandatory access control",
        DO_NOT_ADD
    ),
    group!(
        200,
        30,
        0,
        ["CAP_NET_RAW"],
        "sends forged packets into its network",
        "cannot send forged packets",
        DROP
    ),
    group!(
        200,
        5,
        0,
        ["CAP_SYS_NICE", "CAP_SYS_RESOURCE"],
        "raises priorities and resource limits",
        "cannot raise priorities and resource limits",
        Some("add them to capabilities.drop")
    ),
    group!(
        100,
        5,
        0,
        ["CAP_SYSLOG"],
        "controls the host's kernel log",
        "cannot control the host's kernel log",
        Some("remove kernelLog, or it from capabilities.add")
    ),
    group!(
        100,
        5,
        0,
        ["CAP_AUDIT_CONTROL", "CAP_AUDIT_READ", "CAP_AUDIT_WRITE"],
        "writes the host's audit log",
        "cannot use the host's audit log",
        Some("add them to capabilities.drop")
    ),
    group!(
        25,
        20,
        0,
        ["CAP_IPC_OWNER", "CAP_LEASE"],
        "its root uses shared memory of all its users",
        "its root cannot use others' shared memory",
        Some("add them to capabilities.drop")
    ),
    group!(
        25,
        20,
        0,
        ["CAP_KILL"],
        "its root signals all its processes",
        "its root cannot signal other users' processes",
        None
    ),
    group!(
        50,
        5,
        0,
        ["CAP_BLOCK_SUSPEND", "CAP_IPC_LOCK", "CAP_SYS_PACCT"],
        "locks memory, or keeps the host awake",
        "cannot lock memory beyond its limit",
        DO_NOT_ADD
    ),
    group!(
        50,
        20,
        0,
        ["CAP_CHECKPOINT_RESTORE"],
        "chooses process numbers",
        "cannot choose process numbers",
        DO_NOT_ADD
    ),
    group!(50, 5, 0, ["CAP_LINUX_IMMUTABLE"], "makes files immutable", "cannot make files immutable", DROP),
    group!(
        25,
        30,
        0,
        ["CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST"],
        "listens on ports below 1024",
        "cannot listen on ports below 1024",
        None
    ),
    group!(25, 30, 0, ["CAP_SYS_CHROOT"], "changes root directories", "cannot change root directories", None),
    group!(25, 20, 0, ["CAP_SYS_BOOT"], "reboots itself", "cannot reboot itself", None),
    group!(25, 5, 0, ["CAP_SYS_TTY_CONFIG"], "configures terminals", "cannot configure terminals", DROP),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::{CAPABILITIES, Container};

    /// Every capability is in exactly one group: adding it alone opens that row and no other.
    #[test]
    fn every_capability_is_in_one_group() {
        let mut found = Vec::new();
        let facts = |held: &[&'static str]| {
            static NONE: std::sync::OnceLock<Container> = std::sync::OnceLock::new();
            let mut facts = Facts::of(NONE.get_or_init(Container::default));
            facts.held = held.iter().copied().collect();
            facts
        };
        for name in CAPABILITIES {
            let facts = facts(&[name]);
            let open = MATTERS.iter().filter(|matter| (matter.find)(&facts).exposure > 0);
            let open: Vec<&str> = open.map(|matter| matter.id).collect();
            assert_eq!(open.len(), 1, "{name}: {open:?}");
            found.push((name, open[0]));
        }
        let all = facts(&CAPABILITIES);
        assert!(MATTERS.iter().all(|matter| (matter.find)(&all).exposure == 100));
        let none = facts(&[]);
        assert!(MATTERS.iter().all(|matter| (matter.find)(&none).exposure == 0));
        assert!(found.contains(&("CAP_LEASE", "CAP_IPC_OWNER")), "{found:?}");
    }

    #[test]
    fn user_namespaces_take_most_of_it_away() {
        let drop = |facts: &Facts, id: &str| {
            let matter = MATTERS.iter().find(|matter| matter.id == id).expect("a row");
            let found = (matter.find)(facts);
            (found.exposure, found.at_least)
        };
        let mut container = Container::default();
        container.capabilities.add = vec!["all".parse().expect("a capability")];
        assert_eq!(drop(&Facts::of(&container), "CAP_SYS_MODULE"), (100, 100));
        container.user_namespacing = true;
        assert_eq!(drop(&Facts::of(&container), "CAP_SYS_MODULE"), (5, 0));
        assert_eq!(drop(&Facts::of(&container), "CAP_SYS_PTRACE"), (30, 0));
        container.capabilities.drop = vec!["CAP_SYS_PTRACE".parse().expect("a capability")];
        assert_eq!(drop(&Facts::of(&container), "CAP_SYS_PTRACE"), (0, 0));
    }
}
