//! The free-form settings that are refused by name, since they would break what the generator promises.

use crate::intent::Container;
use crate::invalid::shown;
use systemd_unit_syntax::settings::setting;

/// Settings of [Service] on which the life cycle of a container depends, or which would take nspawn out of the host's
/// mount namespace, which its mount tunnel and machinectl need.
pub(in crate::intent) const REFUSED_SERVICE: &[&str] = &[
    "BindLogSockets",
    "BindPaths",
    "BindReadOnlyPaths",
    "DynamicUser",
    "ExecPaths",
    "ExecStart",
    "ExtensionDirectories",
    "ExtensionImages",
    "Group",
    "InaccessibleDirectories",
    "InaccessiblePaths",
    "KillMode",
    "LogNamespace",
    "MountAPIVFS",
    "MountFlags",
    "MountImages",
    "NoExecPaths",
    "NotifyAccess",
    "PrivateBPF",
    "PrivateDevices",
    "PrivateIPC",
    "PrivateMounts",
    "PrivateNetwork",
    "PrivatePIDs",
    "PrivateTmp",
    "PrivateUsers",
    "ProcSubset",
    "ProtectClock",
    "ProtectControlGroups",
    "ProtectHome",
    "ProtectHostname",
    "ProtectKernelLogs",
    "ProtectKernelModules",
    "ProtectKernelTunables",
    "ProtectProc",
    "ProtectSystem",
    "ReadOnlyDirectories",
    "ReadOnlyPaths",
    "ReadWriteDirectories",
    "ReadWritePaths",
    "RootDirectory",
    "RootEphemeral",
    "RootHash",
    "RootImage",
    "RootMStack",
    "RuntimeDirectory",
    "StateDirectory",
    "TemporaryFileSystem",
    "Type",
    "User",
];

/// Settings of [Service] that the drop-in sets, where an empty value would remove its lines.
pub(in crate::intent) const NOT_EMPTY: &[&str] =
    &["Environment", "ExecStartPre", "ExecStopPost", "LoadCredential", "LoadCredentialEncrypted"];

/// Returns the field of the first fault and the reason.
pub(in crate::intent) fn fault(container: &Container) -> Option<(String, String)> {
    for (key, values) in container.service_config.iter() {
        if NOT_EMPTY.contains(&key) && values.iter().any(String::is_empty) {
            let reason = format!("an empty {key}= would reset what nixos-nspawn sets");
            return Some((format!("container.serviceConfig.{key}"), reason));
        }
        if REFUSED_SERVICE.contains(&key) {
            let reason = "would break the container's life cycle and cannot be set";
            return Some((format!("container.serviceConfig.{key}"), format!("{key}= {reason}")));
        }
    }
    let sections = [
        ("Exec", &container.nspawn_config.exec),
        ("Files", &container.nspawn_config.files),
        ("Network", &container.nspawn_config.network),
    ];
    for (section, settings) in sections {
        for (key, _) in settings.iter() {
            if setting(section, key).is_none() && !key.starts_with("X-") {
                let reason = format!("'{}' is not a setting of [{section}] (systemd.nspawn(5))", shown(key));
                return Some((format!("container.nspawnConfig.{section}.{key}"), reason));
            }
        }
    }
    None
}
