//! Checks of the host before a container is created: systemd's version, nspawn, the generator and its helper. Each
//! refusal names the next step.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use nixos_nspawn_units::intent::Container;

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::host::files::which;
use crate::host::{networkd, systemd};

/// The oldest version of systemd that is tested.
pub(crate) const OLDEST_SYSTEMD: u32 = nixos_nspawn_units::version::OLDEST;

/// The generator's file name.
pub(crate) const GENERATOR: &str = "nixos-nspawn-generator";

/// What a generator reports about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    /// Its path.
    pub(crate) path: PathBuf,
    /// Its version.
    pub(crate) version: String,
    /// The path of the unit helper that its drop-ins call.
    pub(crate) helper: PathBuf,
}

/// Returns the generator that PID 1 would run.
pub(crate) fn generator_file(host: &Host) -> Option<PathBuf> {
    let mut places = host.scope.generators.iter().map(|folder| host.directory(folder).join(GENERATOR));
    places.find(|path| path.symlink_metadata().is_ok())
}

/// Returns why the generator does not run, if so (`systemd.generator(7)`: a link to /dev/null or an empty file masks
/// it).
pub(crate) fn generator_fault(host: &Host) -> Option<String> {
    let Some(path) = generator_file(host) else {
        return Some(format!(
            "{GENERATOR} is not installed, so no container starts; run 'nixos-nspawn setup'"
        ));
    };
    let masked = !fs::metadata(&path).is_ok_and(|file| file.is_file() && file.len() > 0);
    masked
        .then(|| format!("{}: masks the generator, so no container starts; remove this file", path.display()))
}

/// How long a generator may take to tell its version.
const LIMIT: Duration = Duration::from_secs(10);

/// Asks a generator for its version and helper.
pub(crate) fn ask(host: &Host, path: &Path) -> Result<Installed> {
    let answer = host.program(path).arg("--version").limit(LIMIT).output()?;
    let word = |prefix: &str| answer.lines().find_map(|line| line.strip_prefix(prefix)).map(str::to_owned);
    match (word("nixos-nspawn-generator "), word("unit-helper ")) {
        (Some(version), Some(helper)) => {
            Ok(Installed { path: path.to_owned(), version, helper: helper.into() })
        }
        _ => Err(Failed::Program(format!(
            "{}: does not answer as a generator of nixos-nspawn",
            path.display()
        ))
        .into()),
    }
}

/// Checks the running host before a container is created on it.
pub(crate) fn check(host: &Host) -> Result<()> {
    if !Path::new("/usr/bin/systemd-nspawn").exists() && which("systemd-nspawn", &[]).is_none() {
        return unchanged(
            "systemd-nspawn: not found",
            "install it (Debian and Fedora: package systemd-container)",
        );
    }
    let version = systemd::version(host)?;
    if version < OLDEST_SYSTEMD {
        return unchanged(
            format!("systemd {version} is too old"),
            format!("{OLDEST_SYSTEMD} or newer is needed"),
        );
    }
    let installed = installed(host)?;
    if older(&installed.version, env!("CARGO_PKG_VERSION")) {
        return unchanged(
            format!(
                "{}: version {} is older than this program ({})",
                installed.path.display(),
                installed.version,
                env!("CARGO_PKG_VERSION")
            ),
            "run 'nixos-nspawn setup'",
        );
    }
    Ok(())
}

fn installed(host: &Host) -> Result<Installed> {
    let Some(path) = generator_file(host) else {
        return unchanged("the systemd generator is not installed", "run 'nixos-nspawn setup' first");
    };
    let runs = fs::metadata(&path)
        .is_ok_and(|file| file.is_file() && file.len() > 0 && file.permissions().mode() & 0o111 != 0);
    if !runs {
        return unchanged(format!("{}: the generator is masked", path.display()), "remove this file first");
    }
    let installed = ask(host, &path)?;
    if !installed.helper.exists() {
        return unchanged(
            format!("{}: the unit helper is missing", installed.helper.display()),
            "run 'nixos-nspawn setup' first",
        );
    }
    Ok(installed)
}

/// Returns the generator that was shipped beside this program.
pub(crate) fn shipped() -> Option<PathBuf> {
    shipped_places().ok()?.into_iter().find(|path| path.is_file())
}

/// Returns the places where it would be. Not ../libexec: in /usr/local, that is the copy of an earlier setup.
pub(crate) fn shipped_places() -> Result<[PathBuf; 2]> {
    let program = std::env::current_exe()?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    Ok([folder.join(GENERATOR), folder.join("../lib/systemd/system-generators").join(GENERATOR)])
}

/// Returns whether a version `1.2.3` is older than another.
pub(crate) fn older(a: &str, b: &str) -> bool {
    let numbers =
        |text: &str| text.split(['.', '-']).map(|part| part.parse::<u64>().unwrap_or(0)).collect::<Vec<_>>();
    numbers(a) < numbers(b)
}

/// Returns hints for the administrator after a container was created.
pub(crate) fn hints(host: &Host, container: &Container) -> Vec<String> {
    let mut hints = Vec::from_iter(hint(host, container));
    let device = |path: &str| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    if device(host.scope.intents) != device("/etc") {
        hints.push(format!(
            "{} is a separate mount, which may be mounted after the generators at boot: then no container starts",
            host.scope.intents
        ));
    }
    hints
}

/// Returns a hint on a container's network on a host without networkd.
pub(crate) fn hint(host: &Host, container: &Container) -> Option<String> {
    const REMEDY: &str = "'nixos-nspawn setup --networkd' enables it";
    if !container.has_virtual_ethernet() || networkd::runs(host) {
        return None;
    }
    Some(if container.host_network_config.is_some() {
        format!("systemd-networkd is off on this host, so hostNetworkConfig has no effect; {REMEDY}")
    } else {
        format!(
            "systemd-networkd is off on this host, so nothing configures the container's network; {REMEDY}"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::older;

    #[test]
    fn versions() {
        assert!(older("0.1.0", "0.2.0") && older("0.9.0", "0.10.0"));
        assert!(!older("0.1.0", "0.1.0") && !older("1.0.0", "0.9.9"));
    }
}
