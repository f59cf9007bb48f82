//! The options for the container's first process: capabilities, host name, time zone, resolver, environment; named as
//! in `systemd.nspawn(5)`.

use serde::{Deserialize, Serialize};

use super::object::{is_default, null_as_default};
use crate::invalid::Invalid;
use crate::nearest::nearest;
use crate::string_type::string_type;
use crate::value::no_control_characters;

/// Capabilities added to nspawn's own list and removed from it (`Capability=`, `DropCapability=`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Capabilities {
    /// Capabilities added to nspawn's own list.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<Capability>>"))]
    pub add: Vec<Capability>,
    /// Capabilities removed from nspawn's own list.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<Capability>>"))]
    pub drop: Vec<Capability>,
}

string_type! {
    /// A capability as in `capabilities(7)`, for instance `CAP_SYS_NICE`, or `all`.
    Capability, check_capability, r"^(all|CAP_[A-Z0-9_]+)$"
}

/// The list of `capabilities(7)`, as of Linux 5.9.
pub(crate) const CAPABILITIES: [&str; 41] = [
    "CAP_AUDIT_CONTROL",
    "CAP_AUDIT_READ",
    "CAP_AUDIT_WRITE",
    "CAP_BLOCK_SUSPEND",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_KILL",
    "CAP_LEASE",
    "CAP_LINUX_IMMUTABLE",
    "CAP_MAC_ADMIN",
    "CAP_MAC_OVERRIDE",
    "CAP_MKNOD",
    "CAP_NET_ADMIN",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_RAW",
    "CAP_PERFMON",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYSLOG",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_CHROOT",
    "CAP_SYS_MODULE",
    "CAP_SYS_NICE",
    "CAP_SYS_PACCT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_WAKE_ALARM",
];

fn check_capability(text: &str) -> Result<(), Invalid> {
    if text == "all" || CAPABILITIES.contains(&text) {
        return Ok(());
    }
    let with_prefix = format!("CAP_{}", text.to_uppercase().trim_start_matches("CAP_"));
    let hint = nearest(&with_prefix, CAPABILITIES.into_iter()).map_or_else(
        || " such as 'CAP_SYS_NICE', nor 'all'".to_owned(),
        |known| format!(" (did you mean '{known}'?)"),
    );
    Err(Invalid::new(text, format!("is not a capability{hint}")))
}

string_type! {
    /// A host name of at most 64 letters, digits, `-` and `.` (`Hostname=`).
    Hostname, check_hostname, r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$"
}

fn check_hostname(text: &str) -> Result<(), Invalid> {
    let label = |label: &str| {
        let plain = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        (1..=63).contains(&label.len()) && plain && !label.starts_with('-') && !label.ends_with('-')
    };
    if text.len() <= 64 && text.split('.').all(label) {
        return Ok(());
    }
    Err(Invalid::new(
        text,
        "is not a host name (at most 64 letters, digits and '-', with '.' after at most 63 of them)",
    ))
}

/// How the container gets the host's time zone (`Timezone=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Timezone {
    /// The container's own stays as it is.
    Off,
    /// The host's /etc/localtime is copied.
    Copy,
    /// The host's /etc/localtime is mounted.
    Bind,
    /// A link to the host's zone is made.
    Symlink,
    /// The container's own is removed.
    Delete,
    /// nspawn decides.
    Auto,
}

impl Timezone {
    /// Returns the value of the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Copy => "copy",
            Self::Bind => "bind",
            Self::Symlink => "symlink",
            Self::Delete => "delete",
            Self::Auto => "auto",
        }
    }
}

/// How the container gets its /etc/resolv.conf (`ResolvConf=`). `host` stands for the host's file, `static` for the one
/// shipped with systemd-resolved, `uplink` and `stub` for the ones it keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "the names say it all")]
pub enum ResolvConf {
    Off,
    CopyHost,
    CopyStatic,
    CopyUplink,
    CopyStub,
    ReplaceHost,
    ReplaceStatic,
    ReplaceUplink,
    ReplaceStub,
    BindHost,
    BindStatic,
    BindUplink,
    BindStub,
    Delete,
    Auto,
}

impl ResolvConf {
    /// Returns the value of the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::CopyHost => "copy-host",
            Self::CopyStatic => "copy-static",
            Self::CopyUplink => "copy-uplink",
            Self::CopyStub => "copy-stub",
            Self::ReplaceHost => "replace-host",
            Self::ReplaceStatic => "replace-static",
            Self::ReplaceUplink => "replace-uplink",
            Self::ReplaceStub => "replace-stub",
            Self::BindHost => "bind-host",
            Self::BindStatic => "bind-static",
            Self::BindUplink => "bind-uplink",
            Self::BindStub => "bind-stub",
            Self::Delete => "delete",
            Self::Auto => "auto",
        }
    }
}

string_type! {
    /// The name of an environment variable: letters, digits and `_`, no digit first.
    EnvironmentName, check_environment_name, r"^[A-Za-z_][A-Za-z0-9_]*$"
}

/// The variables that nspawn itself passes to the first process (`systemd-nspawn(1)`); an option would replace them.
const OF_NSPAWN: [&str; 7] = [
    "CREDENTIALS_DIRECTORY",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "container",
    "container_uuid",
];

fn check_environment_name(text: &str) -> Result<(), Invalid> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if text.is_empty() || !plain || text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Invalid::new(
            text,
            "is not the name of an environment variable (letters, digits and '_', no digit first)",
        ));
    }
    if OF_NSPAWN.contains(&text) || text.starts_with("container_host_") {
        return Err(Invalid::new(text, "is set by systemd-nspawn and cannot be set here"));
    }
    Ok(())
}

string_type! {
    /// The value of an environment variable: one line, which may be empty.
    EnvironmentValue, no_control_characters, r"^[^\x00-\x1f\x7f]*$"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities() {
        assert!("CAP_SYS_NICE".parse::<Capability>().is_ok() && "all".parse::<Capability>().is_ok());
        for (bad, hint) in
            [("CAP_SYS_NICER", "CAP_SYS_NICE"), ("sys_nice", "CAP_SYS_NICE"), ("cap_bpf", "CAP_BPF")]
        {
            let error = bad.parse::<Capability>().expect_err(bad).to_string();
            assert!(error.ends_with(&format!("(did you mean '{hint}'?)")), "{error}");
        }
        assert!("CAP_UNDERSTANDING".parse::<Capability>().is_err() && "".parse::<Capability>().is_err());
        assert!(CAPABILITIES.is_sorted());
    }

    #[test]
    fn host_names() {
        for good in ["a", "web", "web.example", "a-b.C3", &"a".repeat(63), &format!("{}.b", "a".repeat(62))] {
            assert!(good.parse::<Hostname>().is_ok(), "{good:?}");
        }
        for bad in [
            "",
            ".",
            "a.",
            "-a",
            "a-",
            "a..b",
            "a_b",
            "a b",
            "é",
            &"a".repeat(64),
            &format!("b.{}", "a".repeat(64)),
        ] {
            assert!(bad.parse::<Hostname>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn environment() {
        for bad in ["", "1A", "A B", "A=B", "Ä", "container", "container_host_id", "NOTIFY_SOCKET"] {
            assert!(bad.parse::<EnvironmentName>().is_err(), "{bad:?}");
        }
        assert!("_A1".parse::<EnvironmentName>().is_ok() && "".parse::<EnvironmentValue>().is_ok());
        assert!("a\nb".parse::<EnvironmentValue>().is_err());
    }
}
