//! What is known about one setting, and the kinds of values.

/// One setting of `systemd.nspawn(5)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// `Exec`, `Files` or `Network`.
    pub section: &'static str,
    /// The name before the `=`.
    pub key: &'static str,
    /// How the value is read.
    pub kind: Kind,
    /// The first systemd that knows it; an older one warns and skips it.
    pub since: u16,
    /// Whether a further assignment adds to the earlier ones; otherwise it replaces them.
    pub list: bool,
    /// What an empty assignment does.
    pub empty: Empty,
    /// Whether it is taken only from files in `/etc` and `/run`, or with `--settings=trusted`. For `SystemCallFilter=`
    /// this concerns only what it allows.
    pub privileged: bool,
}

/// What an empty assignment does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Empty {
    /// Forgets the earlier assignments.
    Reset,
    /// Nothing.
    NoOp,
    /// Nothing, with a warning in the log.
    Warning,
    /// Is a value like any other: `Zone=` names the zone `vz-`.
    Value,
}

/// How a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// See [`parse_boolean`](super::parse_boolean).
    Boolean,
    /// A boolean, or empty for the default.
    Tristate,
    /// One of these words, or a boolean; `no` stands for the first, `yes` for the one given.
    Choice {
        /// The words besides booleans.
        values: &'static [&'static str],
        /// The word that `yes` stands for.
        yes: &'static str,
    },
    /// Words with quotes and without escapes ([`crate::words::nspawn_words`]).
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
    /// System calls and groups of them; a leading `~` denies them all.
    SystemCalls,
    /// Address families; a leading `~` denies them all.
    AddressFamilies,
    /// `soft[:hard]`.
    Limit,
    /// -1000 to 1000.
    OomScore,
    /// Numbers and ranges of CPUs.
    CpuSet,
    /// A host name.
    Hostname,
    /// `source[:destination[:options]]` ([`crate::words::bind_fields`]).
    Mount,
    /// `path[:options]`.
    TemporaryFileSystem,
    /// An absolute path in which no character is special.
    RawPath,
    /// `lower[:lower…]:upper[:destination]` ([`crate::words::fields`]).
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
    /// What follows `vz-` in an interface's name.
    Zone,
    /// `[tcp:|udp:]host[:container]`.
    Port,
}

impl Kind {
    pub(super) const fn is_list(self) -> bool {
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

    pub(super) const fn empty(self) -> Empty {
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
            // Interface= and its like were reset up to 253.
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
