//! The table of settings, from `nspawn-gperf.gperf`.

use super::kind::{Kind, Setting};

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
