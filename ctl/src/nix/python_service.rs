//! The drop-in of a python-nixos-nspawn profile for the container's unit.

use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::intent::Container;
use nixos_nspawn_units::service::DEFAULT_TIMEOUT;
use nixos_nspawn_units::value::{AbsolutePath, Invalid};
use systemd_unit_syntax::UnitFile;

use crate::base::exit::Failed;

/// Settings that the drop-in always contains for python-nixos-nspawn's own machinery.
const OWN_LINES: [&str; 4] = ["ExecStart", "ExecStartPre", "X-Restart-Triggers", "X-RestartIfChanged"];
const OWN_ENVIRONMENT: [&str; 4] = ["PATH", "LOCALE_ARCHIVE", "TZDIR", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"];

/// Carries over settings of the drop-in for the container's unit.
pub(crate) fn overrides(
    path: &Path,
    file: &UnitFile,
    container: &mut Container,
    left_out: &mut Vec<String>,
) -> Result<()> {
    // The last assignment counts; an empty one goes back to the default.
    let timeout = file.values("Service", "TimeoutStartSec").last().filter(|value| !value.is_empty());
    // Its builder writes its own default into every file, so that value is not a choice of the container.
    if let Some(value) =
        timeout.filter(|value| container.timeout_start_sec.is_none() && *value != DEFAULT_TIMEOUT)
    {
        let timeout = value.parse().map_err(|error| unusable(path, "Service", "TimeoutStartSec", &error))?;
        container.timeout_start_sec = Some(timeout);
    }
    let mut service = Vec::new();
    let mut unit = Vec::new();
    for (section, key, value) in file.settings() {
        match (section, key) {
            _ if OWN_LINES.contains(&key) => left_out.push(format!("[{section}] {key}=")),
            ("Service", "TimeoutStartSec") => {}
            ("Service", "ExecReload") => {
                // The default is the same as ours, and data.json has a custom script.
                let default = value.contains("/bin/systemd-run ")
                    && value.contains("/bin/switch-to-configuration test");
                let script = container.activation.reload_script.as_ref().map(AbsolutePath::as_str);
                if !default && !value.is_empty() && script != Some(value) {
                    service.push((key, value));
                }
            }
            ("Service", "Environment") => {
                let variable = value.trim_matches('"').split('=').next().unwrap_or_default();
                if OWN_ENVIRONMENT.contains(&variable) {
                    left_out.push(format!("[{section}] {key}={variable}"));
                } else {
                    service.push((key, value));
                }
            }
            ("Service", _) => service.push((key, value)),
            ("Unit", _) => unit.push((key, value)),
            _ => left_out.push(format!("[{section}] {key}=")),
        }
    }
    left_out.dedup();
    let unusable = |section| move |(key, error): (String, Invalid)| unusable(path, section, &key, &error);
    container.service_config.extend(service).map_err(unusable("Service"))?;
    container.unit_config.extend(unit).map_err(unusable("Unit"))
}

/// Refuses a profile for a setting that an intent cannot hold.
pub(crate) fn unusable(
    path: &Path,
    section: &str,
    key: &str,
    error: &impl std::fmt::Display,
) -> anyhow::Error {
    Failed::refused(format!("{}: [{section}] {key}=: {error}", path.display())).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "clippy takes helpers of tests for ordinary code")]

    use systemd_unit_syntax::parse;

    use super::*;

    fn taken_over(text: &str) -> Result<Container> {
        let mut container = Container::default();
        let file = parse(text.as_bytes()).unwrap().file;
        overrides(Path::new("/p/service-overrides.conf"), &file, &mut container, &mut Vec::new())?;
        Ok(container)
    }

    #[test]
    fn the_last_timeout_counts() {
        let timeout =
            |text: &str| taken_over(text).unwrap().timeout_start_sec.map(|timeout| timeout.to_string());
        assert_eq!(timeout("[Service]\nTimeoutStartSec=5s\nTimeoutStartSec=7s\n").as_deref(), Some("7s"));
        assert_eq!(timeout("[Service]\nTimeoutStartSec=5s\nTimeoutStartSec=\n"), None);
        assert_eq!(timeout("[Service]\nTimeoutStartSec=\nTimeoutStartSec=5s\n").as_deref(), Some("5s"));
    }

    #[test]
    fn faults_name_file_and_setting() {
        for (text, expected) in [
            ("[Service]\nNice=1\u{1}\n", "/p/service-overrides.conf: [Service] Nice=: '1\\u{1}' contains"),
            (
                "[Service]\nTimeoutStartSec=soon\n",
                "/p/service-overrides.conf: [Service] TimeoutStartSec=: 'soon' is",
            ),
        ] {
            let error = taken_over(text).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            assert_eq!(crate::base::exit::code(&error), 10);
        }
    }
}
