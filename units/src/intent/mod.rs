//! Intent, version 1: the configuration of one container (`nixos-nspawn.json(5)`). JSON is read into a checked
//! [`Intent`], or a [`Fault`] with its line and field. The types refuse bad values, so that planning cannot fail;
//! nothing here reads the disk.

mod activation;
mod bind;
mod check;
mod container;
mod credential;
mod data;
mod device;
mod exec;
mod fault;
mod free;
mod free_json;
mod host_network;
mod host_nix;
mod interfaces;
mod limit;
mod mount;
mod network;
mod network_rules;
mod object;
mod ordering;
mod overrides;
mod parse;
mod port;
mod record;
mod system_calls;
#[cfg(test)]
pub(crate) mod testing;
mod tmpfs;
mod unique;

pub use crate::nearest::nearest;
pub use activation::{Activation, Expect, Strategy};
pub use bind::{BindMount, BindSource};
pub use container::Container;
pub use credential::{Credential, CredentialSource};
pub use data::{LeftOut, Reading, parse_data};
pub use device::{Device, DevicePath, Permissions};
pub(crate) use exec::CAPABILITIES;
pub use exec::{Capabilities, Capability, EnvironmentName, EnvironmentValue, Hostname, ResolvConf, Timezone};
pub use fault::Fault;
pub use free::{FreeSettings, NspawnConfig};
pub use free_json::Json;
pub use host_network::HostNetworkConfig;
pub use host_nix::{NIX_PARTS, NixPart};
pub(crate) use limit::{Amount, amounts};
pub use limit::{CpuQuota, CpuWeight, IoWeight, MemoryLimit, OomScoreAdjust, Rlimit, RlimitName, TasksMax};
pub use network::{InterfacePair, Network};
pub use ordering::Dependency;
pub use overrides::Overrides;
pub(crate) use parse::typed;
pub use parse::{MAX_SIZE, parse, reads_as_autostart};
pub use port::{ForwardPort, HostAddress, Protocol};
pub use record::{Intent, Source, Version};
pub use system_calls::SystemCallFilter;
pub use tmpfs::Tmpfs;
pub use unique::Unique;

/// See [`crate::known_names`].
#[cfg(feature = "schema")]
pub(crate) fn known_names() -> serde_json::Value {
    let names = |section: &str| -> Vec<&str> {
        let settings = systemd_unit_syntax::settings::SETTINGS.iter();
        settings.filter(|setting| setting.section == section).map(|setting| setting.key).collect()
    };
    serde_json::json!({
        "capabilities": exec::CAPABILITIES.as_slice(),
        "nspawn": { "Exec": names("Exec"), "Files": names("Files"), "Network": names("Network") },
        "refusedServiceSettings": free::rules::REFUSED_SERVICE,
        "serviceSettingsThatMustNotBeEmpty": free::rules::NOT_EMPTY,
    })
}
