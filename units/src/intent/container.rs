//! The options of one container: those of python-nixos-nspawn 0.11 with their names and defaults, further ones, and the
//! free-form settings. They are the content of data.json and of the `container` object of an intent.

use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::bind::BindMount;
use super::credential::Credential;
use super::device::Device;
use super::exec::{Capabilities, EnvironmentName, EnvironmentValue, Hostname, ResolvConf, Timezone};
use super::free::{FreeSettings, NspawnConfig};
use super::free_json::Json;
use super::host_network::HostNetworkConfig;
use super::limit::{
    CpuQuota, CpuWeight, IoWeight, MemoryLimit, OomScoreAdjust, Rlimit, RlimitName, TasksMax,
};
use super::network::{InterfacePair, Network};
use super::object::{is_default, is_true, null_as_default, null_as_true};
use super::ordering::Dependency;
use super::port::ForwardPort;
use super::system_calls::SystemCallFilter;
use super::tmpfs::Tmpfs;
use super::unique::Unique;
use crate::name::{InterfaceName, ZoneName};
use crate::value::{AbsolutePath, Timespan};
use systemd_unit_syntax::settings::parse_boolean;

/// The `nixosContainer` options. Each field may be left out or, as Nix writes it, be null.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Container {
    /// What an update does to the running container, and whether it starts with the host.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Activation>"))]
    pub activation: Activation,
    /// Host paths bound into the container, each `SOURCE[:DESTINATION[:OPTIONS]]` as for `Bind=` (`systemd.nspawn(5)`),
    /// or an object.
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
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<Credential>>"))]
    pub credentials: Vec<Credential>,
    /// Whether the container is part of the host's NixOS configuration. Informative: the directory of the file decides.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub declarative: bool,
    /// Whether the container forgets its state when it stops (`Ephemeral=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub ephemeral: bool,
    /// Ports of the host that lead into the container (`Port=`, or a socket unit), each an object or a text
    /// `[PROTOCOL:][ADDRESS:]HOST[:CONTAINER]`.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<super::port::Form>>"))]
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
    /// How much memory the container can have (`MemoryMax=` of `systemd.resource-control(5)`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<MemoryLimit>,
    /// How much memory it can have before it is slowed down (`MemoryHigh=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_high: Option<MemoryLimit>,
    /// How much processor time it can have (`CPUQuota=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_quota: Option<CpuQuota>,
    /// Its share of the processors when they are busy (`CPUWeight=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_weight: Option<CpuWeight>,
    /// Its share of the disks when they are busy (`IOWeight=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_weight: Option<IoWeight>,
    /// How many tasks it can have, 16384 by default (`TasksMax=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tasks_max: Option<TasksMax>,
    /// Devices of the host that it can use (`DeviceAllow=`), each seen inside at its own place.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<Device>>"))]
    pub devices: Vec<Device>,
    /// Whether it needs /dev/net/tun; a host without it refuses the start.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub tun: bool,
    /// Whether it needs /dev/fuse; a host without it refuses the start.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub fuse: bool,
    /// Whether the host's kernel log can be read inside.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub kernel_log: bool,
    /// Capabilities added to nspawn's own list, and removed from it.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Capabilities>"))]
    pub capabilities: Capabilities,
    /// Temporary file systems (`TemporaryFileSystem=` of `systemd.nspawn(5)`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<Tmpfs>>"))]
    pub tmpfs: Vec<Tmpfs>,
    /// Paths that are inaccessible inside (`Inaccessible=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<AbsolutePath>>"))]
    pub inaccessible_paths: Vec<AbsolutePath>,
    /// Its host name; by default the container's name (`Hostname=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hostname: Option<Hostname>,
    /// How it gets the host's time zone (`Timezone=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<Timezone>,
    /// How it gets its /etc/resolv.conf (`ResolvConf=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolv_conf: Option<ResolvConf>,
    /// Environment variables of its first process (`Environment=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Unique<EnvironmentName, EnvironmentValue>>"))]
    pub environment: Unique<EnvironmentName, EnvironmentValue>,
    /// How willingly the kernel kills its processes when memory runs out (`OOMScoreAdjust=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oom_score_adjust: Option<OomScoreAdjust>,
    /// Resource limits of its first process and all others (`LimitNOFILE=` and the like).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Unique<RlimitName, Rlimit>>"))]
    pub rlimits: Unique<RlimitName, Rlimit>,
    /// Whether users inside are other users outside (`PrivateUsers=pick`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<bool>"))]
    pub user_namespacing: bool,
    /// The zone whose bridge connects the container with others (`Zone=`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
    /// Whose network the container is in, and whether a virtual Ethernet link leads to it (`Private=`, `VirtualEthernet=`).
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
    /// Further virtual Ethernet links between host and container, by their names on both ends (`VirtualEthernetExtra=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<InterfacePair>>"))]
    pub extra_veths: Vec<InterfacePair>,
    /// An existing network namespace, used in place of a new one (`NamespacePath=`, systemd 259 or newer).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_path: Option<AbsolutePath>,
    /// How long the start may take, 90s by default (`TimeoutStartSec=` of `systemd.service(5)`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_start_sec: Option<Timespan>,
    /// Further settings for the .nspawn file, by section: lists are added to ours, other settings replace ours.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<NspawnConfig>"))]
    pub nspawn_config: NspawnConfig,
    /// Further settings for the [Service] section of the drop-in.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub service_config: FreeSettings,
    /// Containers, or units of the host, that the container starts after, if they start as well (`After=` of
    /// `systemd.unit(5)`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<Dependency>>"))]
    pub after: Vec<Dependency>,
    /// Containers, or units of the host, that are started before the container and that it cannot run without
    /// (`Requires=` and `After=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<Dependency>>"))]
    pub requires: Vec<Dependency>,
    /// Containers, or units of the host, that are started along with the container; it also runs without them
    /// (`Wants=`).
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Vec<Dependency>>"))]
    pub wants: Vec<Dependency>,
    /// Further settings for the [Unit] section of the drop-in.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "is_default")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<FreeSettings>"))]
    pub unit_config: FreeSettings,
}

impl Container {
    /// Returns whether the container runs in a user namespace: a free-form `PrivateUsers=` wins over the option.
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
            memory_max: None,
            memory_high: None,
            cpu_quota: None,
            cpu_weight: None,
            io_weight: None,
            tasks_max: None,
            devices: Vec::new(),
            tun: false,
            fuse: false,
            kernel_log: false,
            capabilities: Capabilities::default(),
            tmpfs: Vec::new(),
            inaccessible_paths: Vec::new(),
            hostname: None,
            timezone: None,
            resolv_conf: None,
            environment: Unique::default(),
            oom_score_adjust: None,
            rlimits: Unique::default(),
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
            after: Vec::new(),
            requires: Vec::new(),
            wants: Vec::new(),
            unit_config: FreeSettings::default(),
        }
    }
}
