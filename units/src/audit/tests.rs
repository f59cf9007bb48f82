use std::collections::BTreeSet;

use super::*;
use crate::intent::parse;

fn audit(options: &str) -> Audit {
    let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web";
    let text = format!(r#"{{"version": 1, "toplevel": "{toplevel}", "container": {options}}}"#);
    let intent = parse(text.as_bytes(), &"web".parse().expect("a name"));
    Audit::of(&intent.unwrap_or_else(|fault| panic!("{options}: {fault}")).container)
}

fn exposure(audit: &Audit, id: &str) -> (u32, u32) {
    let row = audit.rows().iter().find(|row| row.id == id).expect("a row");
    (row.exposure, row.at_least)
}

/// What `hardening = "strict"` expands to.
const STRICT: &str = r#"{
    "userNamespacing": true,
    "nspawnConfig": {"Exec": {"NoNewPrivileges": true}},
    "systemCallFilter": "~io_uring_setup io_uring_enter io_uring_register userfaultfd kcmp open_by_handle_at",
    "capabilities": {"drop": [
        "CAP_AUDIT_CONTROL", "CAP_AUDIT_WRITE", "CAP_DAC_READ_SEARCH", "CAP_IPC_OWNER", "CAP_LEASE", "CAP_LINUX_IMMUTABLE",
        "CAP_MKNOD", "CAP_SYS_NICE", "CAP_SYS_PTRACE", "CAP_SYS_RESOURCE", "CAP_SYS_TTY_CONFIG"
    ]},
    "memoryMax": "50%", "tasksMax": 4096
}"#;

#[test]
fn scores_of_typical_containers() {
    for (options, score, level) in [
        (STRICT, 9, Level::Safe),
        (r#"{"userNamespacing": true}"#, 18, Level::Ok),
        ("{}", 75, Level::Exposed),
        (r#"{"network": "host"}"#, 85, Level::Exposed),
        (r#"{"mountDaemonSocket": true}"#, 90, Level::Unsafe),
        (r#"{"userNamespacing": true, "bindMounts": ["/etc:/etc/host:idmap"]}"#, 95, Level::Unsafe),
        (r#"{"userNamespacing": true, "bindMounts": ["/run/docker.sock"]}"#, 95, Level::Unsafe),
        (
            r#"{"bindMounts": [{"source": "/nix/var/nix/daemon-socket", "readOnly": true}]}"#,
            90,
            Level::Unsafe,
        ),
        (r#"{"devices": ["/dev/sda"]}"#, 95, Level::Unsafe),
        (r#"{"devices": ["/dev//sda"]}"#, 95, Level::Unsafe),
        (r#"{"serviceConfig": {"DeviceAllow": ["/dev//disk/by-id/a rw"]}}"#, 95, Level::Unsafe),
        (r#"{"serviceConfig": {"DeviceAllow": ["/dev/sda", "", "/dev/rtc"]}}"#, 75, Level::Exposed),
        (r#"{"serviceConfig": {"DevicePolicy": "auto"}}"#, 95, Level::Unsafe),
        (r#"{"capabilities": {"add": ["all"]}}"#, 100, Level::Dangerous),
    ] {
        let audit = audit(options);
        assert_eq!((audit.score(), audit.level()), (score, level), "{options}: {:#?}", audit.rows());
    }
}

#[test]
fn rows_are_named_once_and_the_worst_is_first() {
    let audit = audit("{}");
    let ids: BTreeSet<&str> = audit.rows().iter().map(|row| row.id).collect();
    assert_eq!(ids.len(), audit.rows().len());
    assert!(audit.rows().is_sorted_by_key(|row| std::cmp::Reverse(row.points().max(row.at_least * 10))));
    for row in audit.rows() {
        assert!(row.weight > 0 && row.exposure <= 100 && row.at_least <= 100, "{row:?}");
        assert!(row.what.len() <= 45 && !row.what.ends_with('.'), "{row:?}");
        assert!(row.exposure > 0 || row.at_least == 0 && row.remedy.is_none(), "{row:?}");
    }
}

#[test]
fn a_free_setting_counts_as_its_option() {
    let id = |options: &str, id: &str| exposure(&audit(options), id);
    let free = |section: &str, key: &str, value: &str| {
        format!(r#"{{"userNamespacing": true, "nspawnConfig": {{"{section}": {{"{key}": {value}}}}}}}"#)
    };
    assert_eq!(id(&free("Exec", "PrivateUsers", "false"), "userNamespacing"), (100, 75));
    assert_eq!(id(&free("Exec", "PrivateUsers", r#""identity""#), "userNamespacing"), (60, 50));
    assert_eq!(id(&free("Exec", "PrivateUsers", r#""65536:65536""#), "userNamespacing"), (0, 0));
    assert_eq!(id(&free("Exec", "NoNewPrivileges", "true"), "NoNewPrivileges"), (0, 0));
    assert_eq!(id(&free("Exec", "DropCapability", r#""CAP_SYS_PTRACE""#), "CAP_SYS_PTRACE"), (0, 0));
    for word in ["CAP_SYS_TIME", "cap_sys_time", "25", "0x19 CAP_KILL"] {
        let value = format!("\"{word}\"");
        assert_eq!(id(&free("Exec", "Capability", &value), "CAP_SYS_TIME").0, 3, "{word}");
        assert_eq!(id(&free("Exec", "DropCapability", &value), "CAP_SYS_TIME").0, 0, "{word}");
    }
    assert_eq!(id(&free("Exec", "DropCapability", r#""19 cap_mknod""#), "CAP_SYS_PTRACE"), (0, 0));
    assert_eq!(id(&free("Exec", "SystemCallFilter", r#""bpf""#), "systemCallFilter"), (100, 0));
    assert_eq!(id(&free("Files", "Bind", r#""/etc:/etc/host:idmap""#), "bindMounts"), (100, 95));
    assert_eq!(id(&free("Network", "Private", "false"), "network"), (100, 50));
    assert_eq!(id(&free("Network", "Port", r#""tcp:80:80""#), "forwardPorts"), (50, 0));
    assert_eq!(id(&free("Network", "MACVLAN", r#""eth0""#), "interfaces"), (60, 0));
    assert_eq!(id(&free("Exec", "Personality", r#""x86""#), "nspawnConfig"), (40, 0));
    assert_eq!(id(&free("Exec", "X-Note", r#""x""#), "nspawnConfig"), (0, 0));
    assert_eq!(id(r#"{"serviceConfig": {"MemoryMax": "1G"}}"#, "memoryMax"), (0, 0));
    assert_eq!(id(r#"{"serviceConfig": {"MemoryMax": "1G"}}"#, "serviceConfig"), (0, 0));
    assert_eq!(id(r#"{"serviceConfig": {"IPAccounting": true}}"#, "serviceConfig"), (40, 0));
}

#[test]
fn limits_by_what_they_leave() {
    let id = |options: &str, id: &str| exposure(&audit(options), id).0;
    for (options, row, expected) in [
        ("{}", "memoryMax", 100),
        (r#"{"memoryMax": "infinity"}"#, "memoryMax", 100),
        (r#"{"memoryMax": "90%"}"#, "memoryMax", 50),
        (r#"{"memoryMax": "50%"}"#, "memoryMax", 0),
        (r#"{"memoryHigh": "1G"}"#, "memoryMax", 40),
        ("{}", "tasksMax", 50),
        (r#"{"tasksMax": 4096}"#, "tasksMax", 0),
        (r#"{"tasksMax": "infinity"}"#, "tasksMax", 100),
        ("{}", "cpuQuota", 50),
        (r#"{"cpuQuota": "100%"}"#, "cpuQuota", 0),
        (r#"{"cpuQuota": "100%", "cpuWeight": 200}"#, "cpuQuota", 100),
        (r#"{"tmpfs": ["/x"]}"#, "tmpfs", 100),
        (r#"{"tmpfs": ["/x:size=1G"]}"#, "tmpfs", 0),
        (r#"{"tmpfs": ["/x"], "memoryMax": "1G"}"#, "tmpfs", 0),
        (r#"{"oomScoreAdjust": -5}"#, "rlimits", 100),
        (r#"{"rlimits": {"RTPRIO": 9}}"#, "rlimits", 100),
        (r#"{"rlimits": {"NOFILE": 9}}"#, "rlimits", 0),
        (r#"{"forwardPorts": ["127.0.0.1:80:80"]}"#, "forwardPorts", 20),
        (r#"{"network": "none"}"#, "network", 0),
        (r#"{"zone": "web"}"#, "network", 50),
    ] {
        assert_eq!(id(options, row), expected, "{options}");
    }
}
