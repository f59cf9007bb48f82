//! The options of one container: those of python-nixos-nspawn 0.11 with their names and defaults, and
//! the free-form settings. They stand in data.json and in the `container` object of an intent.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::bind::BindMount;
use super::free::{FreeSettings, NspawnConfig};
use super::host_network::HostNetworkConfig;
use super::is_default;
use super::network::{InterfacePair, Network};
use super::object::{null_as_default, null_as_true, object, objects};
use crate::name::{CredentialId, InterfaceName, ZoneName};
use crate::string_type::string_type;
use crate::syntax::settings::parse_boolean;
use crate::value::{AbsolutePath, Invalid, Port, Timespan};

/// The `nixosContainer` options. Each field may be left out or, as Nix writes it, be null.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Container {
    /// What an update does to the running container, and whether it starts with the host.
    #[serde(deserialize_with = "object", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Activation>"))]
    pub activation: Activation,
    /// Host paths bound into the container, each `SOURCE[:DESTINATION[:OPTIONS]]` as for `Bind=` (`systemd.nspawn(5)`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<BindMount>>"))]
    pub bind_mounts: Vec<BindMount>,
    /// The host bridge that the container's interface is attached to (`Bridge=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bridge: Option<InterfaceName>,
    /// Configuration of host0 inside the container; it is part of the NixOS system and has no effect on the host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container_network_config: Option<Json>,
    /// Credentials handed to the container's service manager (`systemd.exec(5)`).
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<Credential>>"))]
    pub credentials: Vec<Credential>,
    /// Whether the container is part of the host's NixOS configuration. Informative: the folder of the file decides.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub declarative: bool,
    /// Whether the container forgets its state when it stops (`Ephemeral=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub ephemeral: bool,
    /// Ports of the host that lead into the container (`Port=`).
    #[serde(deserialize_with = "objects", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<ForwardPort>>"))]
    pub forward_ports: Vec<ForwardPort>,
    /// The host's end of the container's network, as a value of NixOS's `systemd.network.networks` (`systemd.network(5)`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_network_config: Option<HostNetworkConfig>,
    /// Whether the host's Nix daemon can be used inside.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub mount_daemon_socket: bool,
    /// Whether the whole /nix/store is visible inside. Only true is supported.
    #[serde(deserialize_with = "null_as_true", skip_serializing_if = "is_true")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub shared_nix: bool,
    /// System calls allowed or, behind `~`, denied in addition to nspawn's own list (`SystemCallFilter=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_call_filter: Option<SystemCallFilter>,
    /// Whether users inside are other users outside (`PrivateUsers=pick`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub user_namespacing: bool,
    /// The zone whose bridge connects the container with others (`Zone=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
    /// Whose network the container is in, and whether a virtual cable leads to it (`Private=`, `VirtualEthernet=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Network>"))]
    pub network: Network,
    /// Interfaces of the host that each get a MACVLAN interface inside (`MACVLAN=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<InterfacePair>>"))]
    pub macvlan: Vec<InterfacePair>,
    /// Interfaces of the host that each get an IPVLAN interface inside (`IPVLAN=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<InterfacePair>>"))]
    pub ipvlan: Vec<InterfacePair>,
    /// Interfaces of the host that are moved into the container (`Interface=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<InterfacePair>>"))]
    pub interfaces: Vec<InterfacePair>,
    /// Further virtual cables between host and container, by their names on both ends (`VirtualEthernetExtra=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<InterfacePair>>"))]
    pub extra_veths: Vec<InterfacePair>,
    /// A network namespace that is there already, in place of a new one (`NamespacePath=`, systemd 259 or newer).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_path: Option<AbsolutePath>,
    /// How long the start may take, 90s by default (`TimeoutStartSec=` of `systemd.service(5)`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_start_sec: Option<Timespan>,
    /// Further settings for the .nspawn file, by section: lists are added to ours, other settings replace ours.
    #[serde(deserialize_with = "object", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<NspawnConfig>"))]
    pub nspawn_config: NspawnConfig,
    /// Further settings for the [Service] section of the drop-in.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub service_config: FreeSettings,
    /// Further settings for the [Unit] section of the drop-in.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub unit_config: FreeSettings,
}

impl Container {
    /// Whether the container runs in a user namespace: by its option, or by a free-form `PrivateUsers=`, which wins.
    pub fn in_user_namespace(&self) -> bool {
        let free = self.nspawn_config.exec.get("PrivateUsers").and_then(|values| values.last());
        match free.map(|value| parse_boolean(value)) {
            Some(boolean) => boolean != Some(false),
            None => self.user_namespacing,
        }
    }
}

impl Default for Container {
    fn default() -> Self {
        Self {
            activation: Activation::default(),
            bind_mounts: Vec::new(),
            bridge: None,
            container_network_config: None,
            credentials: Vec::new(),
            declarative: false,
            ephemeral: false,
            forward_ports: Vec::new(),
            host_network_config: None,
            mount_daemon_socket: false,
            shared_nix: true,
            system_call_filter: None,
            user_namespacing: false,
            zone: None,
            network: Network::default(),
            macvlan: Vec::new(),
            ipvlan: Vec::new(),
            interfaces: Vec::new(),
            extra_veths: Vec::new(),
            namespace_path: None,
            timeout_start_sec: None,
            nspawn_config: NspawnConfig::default(),
            service_config: FreeSettings::default(),
            unit_config: FreeSettings::default(),
        }
    }
}

/// What happens at an update, and at boot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Activation {
    /// What an update does to the running container.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Strategy>"))]
    pub strategy: Strategy,
    /// Whether the container starts with the host.
    #[serde(deserialize_with = "null_as_true", skip_serializing_if = "is_true")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub auto_start: bool,
    /// A program on the host that reloads the container, in place of `switch-to-configuration test` inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload_script: Option<AbsolutePath>,
}

impl Default for Activation {
    fn default() -> Self {
        Self { strategy: Strategy::default(), auto_start: true, reload_script: None }
    }
}

/// How an update takes effect.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Strategy {
    /// At the next start.
    None,
    /// By `switch-to-configuration test` inside, or the reload script.
    Reload,
    /// By a restart.
    Restart,
    /// By a reload where that is enough, otherwise by a restart.
    #[default]
    Dynamic,
}

/// A credential: the id services inside load it by, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Credential {
    /// The id inside the container.
    pub id: CredentialId,
    /// An absolute path on the host, or the name of a credential in the host's credential store.
    pub path: CredentialSource,
}

string_type! {
    /// An absolute path, or the name of a credential that the host's service manager can find (`LoadCredential=`).
    CredentialSource, check_credential_source, r"^(/[^\x00-\x1f\x7f]*|[!#%&(-.0-9;-\[\]-~]{1,255})$"
}

fn check_credential_source(text: &str) -> Result<(), Invalid> {
    if text.starts_with('/') {
        text.parse::<AbsolutePath>().map(|_| ())
    } else {
        text.parse::<CredentialId>()
            .map(|_| ())
            .map_err(|_| Invalid::new(text, "is neither an absolute path nor the name of a credential"))
    }
}

impl CredentialSource {
    /// The path, unless it is a name.
    pub fn path(&self) -> Option<&str> {
        Some(self.as_str()).filter(|text| text.starts_with('/'))
    }
}

/// A port of the host that leads to a port of the container.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ForwardPort {
    /// The port on the host.
    pub host_port: Port,
    /// The port inside; the same as on the host if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_port: Option<Port>,
    /// The transport protocol.
    #[serde(default, deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Protocol>"))]
    pub protocol: Protocol,
}

/// What nspawn can forward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Protocol {
    /// TCP, the default.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

string_type! {
    /// Words of `SystemCallFilter=` (`systemd.nspawn(5)`): names of system calls and `@groups`, `~` in front denies them all.
    SystemCallFilter, check_system_call_filter, r"^~?@?[a-zA-Z0-9_-]+( +@?[a-zA-Z0-9_-]+)*$"
}

fn check_system_call_filter(text: &str) -> Result<(), Invalid> {
    // `~` in front of the line denies all of it; in front of a later word nspawn takes it for part of the name.
    let well_formed = text.strip_prefix('~').unwrap_or(text).split(' ').all(|word| {
        let name = word.strip_prefix('@').unwrap_or(word);
        word.is_empty()
            || !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    });
    if text.is_empty() || text.trim() != text || !well_formed {
        return Err(Invalid::new(
            text,
            "is not a list of system calls or @groups, with '~' in front to deny them",
        ));
    }
    Ok(())
}

/// A JSON object that is kept as it is.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Json(pub serde_json::Map<String, serde_json::Value>);

fn is_true(value: &bool) -> bool {
    *value
}
