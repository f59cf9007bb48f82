//! What is known about each setting of a `.nspawn` file: its type, since when systemd knows it,
//! what repeating or emptying it does, and whether it takes a file systemd trusts. The table is
//! that of `nspawn-gperf.gperf` up to systemd 262. What a file's settings add up to is told by
//! [`super::effective()`].

/// One setting of `systemd.nspawn(5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// `Exec`, `Files` or `Network`.
    pub section: &'static str,
    /// The name before the `=`.
    pub key: &'static str,
    /// How the value is read.
    pub kind: Kind,
    /// The first systemd that knows it; an older one warns and goes on without.
    pub since: u16,
    /// A further assignment adds to the earlier ones; otherwise it takes their place.
    pub list: bool,
    /// What an empty assignment does.
    pub empty: Empty,
    /// Taken only from files in `/etc` and `/run`, or with `--settings=trusted`. Of
    /// `SystemCallFilter=` this is true for what it allows only.
    pub privileged: bool,
}

/// What an empty assignment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// Forgets the earlier assignments.
    Reset,
    /// Nothing.
    NoOp,
    /// Nothing, with a complaint in the log.
    Warning,
    /// Is a value like others: `Zone=` names the zone `vz-`.
    Value,
}

/// How a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// See [`parse_boolean`].
    Boolean,
    /// A boolean, or empty for the default.
    Tristate,
    /// One of these words, or a boolean; `no` stands for the first, `yes` for the one given.
    Choice {
        /// What may be written besides booleans.
        values: &'static [&'static str],
        /// The one `yes` stands for.
        yes: &'static str,
    },
    /// Words with quotes and without escapes ([`super::words::nspawn_words`]).
    Words,
    /// Text without quotes, backslashes and control characters.
    Text,
    /// An absolute path.
    Path,
    /// `new[:old]`, both absolute and without `..`.
    PivotRoot,
    /// Names such as `CAP_NET_ADMIN`, or `all`.
    Capabilities,
    /// A signal's name or number.
    Signal,
    /// The name of an architecture.
    Personality,
    /// 128 bits, in hexadecimal or as a UUID.
    Id128,
    /// A boolean, `pick`, `identity`, `managed` or `UID[:RANGE]`.
    PrivateUsers,
    /// A whole number that is not negative.
    Number,
    /// System calls and groups of them; `~` in front denies them all.
    SystemCalls,
    /// Address families; `~` in front denies them all.
    AddressFamilies,
    /// `soft[:hard]`.
    Limit,
    /// -1000 to 1000.
    OomScore,
    /// Numbers and ranges of CPUs.
    CpuSet,
    /// A host name.
    Hostname,
    /// `source[:destination[:options]]` ([`super::words::bind_fields`]).
    Mount,
    /// `path[:options]`.
    TemporaryFileSystem,
    /// An absolute path in which no character is special.
    RawPath,
    /// `lower[:lower…]:upper[:destination]` ([`super::words::fields`]).
    Overlay,
    /// Names of users.
    Users,
    /// An absolute path or a boolean.
    Shell,
    /// Network interfaces, from 254 on as `host[:container]`.
    Interfaces,
    /// One `host[:container]` pair.
    InterfacePair,
    /// The name of one interface.
    Interface,
    /// What stands behind `vz-` in an interface's name.
    Zone,
    /// `[tcp:|udp:]host[:container]`.
    Port,
}

impl Kind {
    const fn is_list(self) -> bool {
        matches!(
            self,
            Kind::Words
                | Kind::Capabilities
                | Kind::SystemCalls
                | Kind::AddressFamilies
                | Kind::CpuSet
                | Kind::Mount
                | Kind::TemporaryFileSystem
                | Kind::RawPath
                | Kind::Overlay
                | Kind::Users
                | Kind::Interfaces
                | Kind::InterfacePair
                | Kind::Port
        )
    }

    const fn empty(self) -> Empty {
        match self {
            Kind::Tristate
            | Kind::Words
            | Kind::Text
            | Kind::Path
            | Kind::Personality
            | Kind::AddressFamilies
            | Kind::OomScore
            | Kind::CpuSet
            | Kind::Hostname
            | Kind::Users
            | Kind::Shell
            | Kind::Interface => Empty::Reset,
            // Interface= & co. were reset up to 253.
            Kind::Capabilities | Kind::SystemCalls | Kind::Interfaces => Empty::NoOp,
            Kind::Zone => Empty::Value,
            Kind::Boolean
            | Kind::Choice { .. }
            | Kind::PivotRoot
            | Kind::Signal
            | Kind::Id128
            | Kind::PrivateUsers
            | Kind::Number
            | Kind::Limit
            | Kind::Mount
            | Kind::TemporaryFileSystem
            | Kind::RawPath
            | Kind::Overlay
            | Kind::InterfacePair
            | Kind::Port => Empty::Warning,
        }
    }
}

const RESOLV_CONF: Kind = Kind::Choice {
    values: &[
        "off",
        "copy-host",
        "copy-static",
        "copy-uplink",
        "copy-stub",
        "replace-host",
        "replace-static",
        "replace-uplink",
        "replace-stub",
        "bind-host",
        "bind-static",
        "bind-uplink",
        "bind-stub",
        "delete",
        "auto",
    ],
    yes: "auto",
};
const TIMEZONE: Kind =
    Kind::Choice { values: &["off", "copy", "bind", "symlink", "delete", "auto"], yes: "auto" };
const LINK_JOURNAL: Kind =
    Kind::Choice { values: &["no", "auto", "guest", "try-guest", "host", "try-host"], yes: "auto" };
const VOLATILE: Kind = Kind::Choice { values: &["no", "yes", "state", "overlay"], yes: "yes" };
// "foreign" came with 258.
const OWNERSHIP: Kind = Kind::Choice { values: &["off", "chown", "map", "auto", "foreign"], yes: "auto" };

const fn open(section: &'static str, key: &'static str, since: u16, kind: Kind) -> Setting {
    Setting { section, key, kind, since, list: kind.is_list(), empty: kind.empty(), privileged: false }
}

const fn privileged(section: &'static str, key: &'static str, since: u16, kind: Kind) -> Setting {
    Setting { privileged: true, ..open(section, key, since, kind) }
}

/// Every setting of a `.nspawn` file, by section.
pub static SETTINGS: &[Setting] = &[
    open("Exec", "Boot", 226, Kind::Boolean),
    privileged("Exec", "Ephemeral", 240, Kind::Tristate),
    open("Exec", "ProcessTwo", 229, Kind::Boolean),
    open("Exec", "Parameters", 226, Kind::Words),
    open("Exec", "Environment", 226, Kind::Words),
    open("Exec", "User", 226, Kind::Text),
    privileged("Exec", "Capability", 226, Kind::Capabilities),
    privileged("Exec", "AmbientCapability", 248, Kind::Capabilities),
    open("Exec", "DropCapability", 226, Kind::Capabilities),
    open("Exec", "KillSignal", 230, Kind::Signal),
    open("Exec", "Personality", 226, Kind::Personality),
    privileged("Exec", "MachineID", 226, Kind::Id128),
    open("Exec", "WorkingDirectory", 229, Kind::Path),
    open("Exec", "PivotRoot", 233, Kind::PivotRoot),
    privileged("Exec", "PrivateUsers", 230, Kind::PrivateUsers),
    privileged("Exec", "PrivateUsersDelegate", 260, Kind::Number),
    open("Exec", "NotifyReady", 231, Kind::Tristate),
    privileged("Exec", "SystemCallFilter", 235, Kind::SystemCalls),
    privileged("Exec", "LimitCPU", 239, Kind::Limit),
    privileged("Exec", "LimitFSIZE", 239, Kind::Limit),
    privileged("Exec", "LimitDATA", 239, Kind::Limit),
    privileged("Exec", "LimitSTACK", 239, Kind::Limit),
    privileged("Exec", "LimitCORE", 239, Kind::Limit),
    privileged("Exec", "LimitRSS", 239, Kind::Limit),
    privileged("Exec", "LimitNOFILE", 239, Kind::Limit),
    privileged("Exec", "LimitAS", 239, Kind::Limit),
    privileged("Exec", "LimitNPROC", 239, Kind::Limit),
    privileged("Exec", "LimitMEMLOCK", 239, Kind::Limit),
    privileged("Exec", "LimitLOCKS", 239, Kind::Limit),
    privileged("Exec", "LimitSIGPENDING", 239, Kind::Limit),
    privileged("Exec", "LimitMSGQUEUE", 239, Kind::Limit),
    privileged("Exec", "LimitNICE", 239, Kind::Limit),
    privileged("Exec", "LimitRTPRIO", 239, Kind::Limit),
    privileged("Exec", "LimitRTTIME", 239, Kind::Limit),
    open("Exec", "Hostname", 239, Kind::Hostname),
    open("Exec", "NoNewPrivileges", 239, Kind::Tristate),
    privileged("Exec", "OOMScoreAdjust", 239, Kind::OomScore),
    privileged("Exec", "CPUAffinity", 239, Kind::CpuSet),
    open("Exec", "ResolvConf", 239, RESOLV_CONF),
    privileged("Exec", "LinkJournal", 239, LINK_JOURNAL),
    open("Exec", "Timezone", 239, TIMEZONE),
    open("Exec", "SuppressSync", 250, Kind::Tristate),
    open("Exec", "RestrictAddressFamilies", 261, Kind::AddressFamilies),
    open("Files", "ReadOnly", 226, Kind::Tristate),
    open("Files", "Volatile", 226, VOLATILE),
    privileged("Files", "Bind", 226, Kind::Mount),
    privileged("Files", "BindReadOnly", 226, Kind::Mount),
    privileged("Files", "TemporaryFileSystem", 226, Kind::TemporaryFileSystem),
    privileged("Files", "Inaccessible", 242, Kind::RawPath),
    privileged("Files", "Overlay", 233, Kind::Overlay),
    privileged("Files", "OverlayReadOnly", 233, Kind::Overlay),
    privileged("Files", "PrivateUsersChown", 230, Kind::Boolean),
    privileged("Files", "PrivateUsersOwnership", 249, OWNERSHIP),
    privileged("Files", "BindUser", 249, Kind::Users),
    privileged("Files", "BindUserShell", 258, Kind::Shell),
    privileged("Network", "Private", 226, Kind::Tristate),
    privileged("Network", "NamespacePath", 259, Kind::Path),
    privileged("Network", "Interface", 226, Kind::Interfaces),
    privileged("Network", "MACVLAN", 226, Kind::Interfaces),
    privileged("Network", "IPVLAN", 226, Kind::Interfaces),
    privileged("Network", "VirtualEthernet", 226, Kind::Tristate),
    privileged("Network", "VirtualEthernetExtra", 228, Kind::InterfacePair),
    privileged("Network", "Bridge", 226, Kind::Interface),
    privileged("Network", "Zone", 230, Kind::Zone),
    privileged("Network", "Port", 226, Kind::Port),
];

/// The setting of that name, spelled exactly; `None` if systemd does not know it up to 262.
pub fn setting(section: &str, key: &str) -> Option<&'static Setting> {
    // The key first: it tells most of them apart by its length.
    SETTINGS.iter().find(|setting| setting.key == key && setting.section == section)
}

/// A boolean as systemd reads it, in any case (`parse_boolean()`, `systemd.syntax(7)`).
pub fn parse_boolean(text: &str) -> Option<bool> {
    let is_one_of = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is_one_of(&["1", "yes", "y", "true", "t", "on"]) {
        Some(true)
    } else if is_one_of(&["0", "no", "n", "false", "f", "off"]) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    #[test]
    fn the_table_is_complete_and_without_duplicates() {
        assert_eq!(SETTINGS.iter().filter(|setting| setting.since <= 252).count(), 61);
        assert_eq!(SETTINGS.len(), 65);
        for known in SETTINGS {
            assert_eq!(setting(known.section, known.key), Some(known));
        }
        assert_eq!(setting("Exec", "boot"), None);
        assert_eq!(setting("Files", "Boot"), None);
    }

    #[test]
    fn booleans_in_any_case() {
        for text in ["1", "yes", "Y", "TRUE", "t", "On"] {
            assert_eq!(parse_boolean(text), Some(true), "{text}");
        }
        for text in ["0", "no", "N", "False", "f", "OFF"] {
            assert_eq!(parse_boolean(text), Some(false), "{text}");
        }
        for text in ["", " yes", "2", "enable", "ye"] {
            assert_eq!(parse_boolean(text), None, "{text}");
        }
    }
}
