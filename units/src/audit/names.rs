//! The names of capabilities as systemd reads them (`capability_from_name()`): by number, and in any case.

/// All capabilities in the order of their numbers (linux/capability.h).
const NUMBERED: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// Returns the capability that a word stands for.
pub(super) fn named(word: &str) -> Option<&'static str> {
    match number(word) {
        Some(number) => NUMBERED.get(number).copied(),
        None => NUMBERED.into_iter().find(|name| name.eq_ignore_ascii_case(word)),
    }
}

/// Reads a number that is not negative (`safe_atoi()`).
fn number(word: &str) -> Option<usize> {
    let word = word.strip_prefix('+').unwrap_or(word);
    let of_base = |prefix: &str, base: u32| {
        let (start, digits) = word.split_at_checked(prefix.len())?;
        let is_number = start.eq_ignore_ascii_case(prefix)
            && !digits.is_empty()
            && digits.chars().all(|digit| digit.is_digit(base));
        usize::from_str_radix(digits, base).ok().filter(|_| is_number)
    };
    of_base("0x", 16)
        .or_else(|| of_base("0b", 2))
        .or_else(|| of_base("0o", 8))
        .or_else(|| of_base("0", 8))
        .or_else(|| of_base("", 10).filter(|number| *number == 0 || !word.starts_with('0')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intent::CAPABILITIES;

    #[test]
    fn every_capability_has_a_number() {
        let mut sorted = NUMBERED;
        sorted.sort_unstable();
        assert_eq!(sorted, CAPABILITIES);
    }

    #[test]
    fn names_in_any_case_and_numbers_of_c() {
        for word in [
            "CAP_SYS_ADMIN",
            "cap_sys_admin",
            "Cap_Sys_Admin",
            "21",
            "+21",
            "0x15",
            "0X15",
            "025",
            "0o25",
            "0b10101",
        ] {
            assert_eq!(named(word), Some("CAP_SYS_ADMIN"), "{word}");
        }
        assert_eq!((named("0"), named("40")), (Some("CAP_CHOWN"), Some("CAP_CHECKPOINT_RESTORE")));
        for word in
            ["", "+", "-1", "41", "SYS_ADMIN", "all", "0x", "0x+5", "08", "2 1", "99999999999999999999"]
        {
            assert_eq!(named(word), None, "{word}");
        }
    }
}
