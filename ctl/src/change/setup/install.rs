//! Installs programs and files.

use std::fs;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::store::HOST_FILE;

use super::places::{check, not_masked, target};
use super::steps::{Done, Places, SetupOptions, SetupStep};
use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::fact::installation;
use crate::fact::installation::Installed;
use crate::host::elf::{Linking, linking};
use crate::host::files::write_file;
use crate::host::lock::Lock;
use crate::host::{auto_update, host_file, networkd, networkd_conf, systemd};
use crate::nix::files;
use crate::nix::files::FILES;

/// Installs the generator and everything that belongs to it.
pub(crate) fn install(host: &Host, options: SetupOptions, done: Done) -> Result<()> {
    check(host)?;
    if let Some(calendar) = options.auto_update {
        auto_update::check(host, calendar)?;
    }
    if options.networkd && wanted_configuration(host).is_some() {
        networkd_conf::check(host)?;
    }
    let version = systemd::version(host)?;
    if version < installation::OLDEST_SYSTEMD {
        return unchanged(
            format!("systemd {version} is too old"),
            format!("{} or newer is needed", installation::OLDEST_SYSTEMD),
        );
    }
    let target = target(host);
    match installation::generator_file(host) {
        Some(present) if present.starts_with(host.path("/run")) => {
            return unchanged(
                format!("{}: hides or masks any generator that is installed", present.display()),
                "remove this file first",
            );
        }
        Some(present) if present != target => done(SetupStep::Keep(present))?,
        _ => {
            not_masked(&target)?;
            copy(host, target, options.dry_run, done)?;
        }
    }
    record_host(host, options.dry_run, done)?;
    if options.networkd {
        turn_networkd_on(host, options.dry_run, done)?;
    }
    let Some(calendar) = options.auto_update else { return Ok(()) };
    if !options.dry_run {
        auto_update::install(host, calendar)?;
    }
    done(SetupStep::EnableUpdates)
}

/// Returns the configuration that networkd is to have, unless it was in use before.
fn wanted_configuration(host: &Host) -> Option<String> {
    let in_use = networkd::runs(host) || networkd::enabled(host);
    networkd_conf::missing(host).filter(|_| !in_use)
}

/// Enables networkd. Where it was disabled, other programs made the host's rules and routes, which networkd would
/// delete.
fn turn_networkd_on(host: &Host, dry_run: bool, done: Done) -> Result<()> {
    if let Some(text) = wanted_configuration(host) {
        if !dry_run {
            networkd_conf::install(host, &text)?;
        }
        done(SetupStep::ConfigureNetworkd)?;
    }
    if !dry_run {
        networkd::enable(host)?;
    }
    done(SetupStep::EnableNetworkd)
}

/// Records what the generator must know about the host, such as a new version of systemd or BootLimit= of
/// nixos-nspawn.conf.
pub(crate) fn record_host(host: &Host, dry_run: bool, done: Done) -> Result<()> {
    let facts = host_file::facts(host)?;
    let present = host.load_none().host;
    if facts == present && (host.path(HOST_FILE).exists() || facts.boot_limit.is_none()) {
        return Ok(());
    }
    if dry_run {
        return done(SetupStep::Record(facts));
    }
    let _global = Lock::global(host)?;
    let folder = host.intents();
    make_directory(&folder).with_context(|| folder.display().to_string())?;
    if host_file::record(host, &facts)? {
        systemd::daemon_reload(host)?;
        done(SetupStep::Record(facts))?;
    }
    Ok(())
}

fn copy(host: &Host, generator: PathBuf, dry_run: bool, done: Done) -> Result<()> {
    let source = beside_this_program()?;
    let bytes = fs::read(&source).with_context(|| source.display().to_string())?;
    let Installed { version, helper, .. } = try_out(host, &source, &bytes)?;
    let places = Places { source, version, generator, helper, files: files::DIRECTORY.into() };
    if !dry_run {
        for (name, text) in FILES {
            put(&places.files.join(name), text.as_bytes(), 0o644)?;
        }
        // The helper comes first, because drop-ins of the new generator call it.
        put(&places.helper, &bytes, 0o755)?;
        put(&places.generator, &bytes, 0o755)?;
        systemd::daemon_reload(host)?;
    }
    done(SetupStep::Install(places))
}

/// Returns the generator that was shipped with this program.
fn beside_this_program() -> Result<PathBuf> {
    match installation::shipped() {
        Some(path) => Ok(path.canonicalize()?),
        None => {
            let [place, _] = installation::shipped_places()?;
            unchanged(format!("{}: not found beside this program", place.display()), "")
        }
    }
}

/// Runs a copy of the program, which must work without /nix and on this host.
fn try_out(host: &Host, source: &Path, bytes: &[u8]) -> Result<Installed> {
    let path = source.display();
    match linking(bytes) {
        Linking::Static => {}
        Linking::Dynamic => {
            return unchanged(
                format!(
                    "{path}: is linked dynamically, so a copy would not run before its libraries are mounted"
                ),
                "use a static build",
            );
        }
        Linking::Unknown => return unchanged(format!("{path}: is not a program"), ""),
    }
    let own = installation::ask(host, source)?;
    if own.helper.starts_with("/nix") {
        return unchanged(
            format!("{path}: was built for a package, with its helper at {}", own.helper.display()),
            "use a build with PREFIX=/usr/local",
        );
    }
    let trial = tempfile::tempdir()?;
    host.program(source).arg("--root").arg(trial.path()).arg(trial.path()).output()?;
    Ok(own)
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_directory(folder).with_context(|| format!("{}: cannot be written", path.display()))?;
    write_file(path, bytes, mode)
}

fn make_directory(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}
