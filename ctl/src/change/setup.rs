//! Installs the generator, its unit helper and the Nix files on a system without a package of them, and removes them
//! again. Programs are copied, since /nix may not be mounted when generators run; the files are embedded in this
//! program. Each step is reported when it is done, or in a dry run when it would be.

use std::collections::BTreeSet;
use std::fs;
use std::fs::DirBuilder;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{HOST_FILE, Host as HostFacts};

use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::fact::installation;
use crate::fact::installation::{GENERATOR, Installed};
use crate::host::elf::{Linking, linking};
use crate::host::files::{remove_file, write_file};
use crate::host::lock::Lock;
use crate::host::{auto_update, host_file, networkd, networkd_conf, sockets, systemd};
use crate::nix::files;
use crate::nix::files::FILES;

/// A step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SetupStep {
    /// Keep the generator of a package.
    Keep(PathBuf),
    /// Install programs and files.
    Install(Places),
    /// Record what the generator must know about the host.
    Record(HostFacts),
    /// Make networkd keep what other programs made.
    ConfigureNetworkd,
    /// Enable and start networkd.
    EnableNetworkd,
    /// Remove that configuration; networkd itself stays as it is.
    ReleaseNetworkd {
        /// Whether it runs.
        runs: bool,
    },
    /// Install, enable and start the timer that updates all containers.
    EnableUpdates,
    /// Remove it.
    DisableUpdates,
    /// Nothing is installed.
    NothingInstalled,
    /// Stop a container.
    Stop(MachineName),
    /// Delete files, and keep the records of containers.
    Delete {
        /// The files.
        paths: Vec<PathBuf>,
        /// The number of records that are kept.
        records: usize,
    },
}

/// What is installed, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// The generator that came with this program.
    pub(crate) source: PathBuf,
    /// Its version.
    pub(crate) version: String,
    /// The path of its copy.
    pub(crate) generator: PathBuf,
    /// The path of its copy that serves as unit helper.
    pub(crate) helper: PathBuf,
    /// The directory of the Nix files.
    pub(crate) files: PathBuf,
}

/// The options of an installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SetupOptions<'a> {
    /// Whether to enable networkd as well.
    pub(crate) networkd: bool,
    /// Whether to update all containers by a timer, and when.
    pub(crate) auto_update: Option<Option<&'a str>>,
    /// Whether to change nothing.
    pub(crate) dry_run: bool,
}

/// Receives each step.
pub(crate) type Done<'a> = &'a mut dyn FnMut(SetupStep) -> Result<()>;

/// Installs the generator and everything that belongs to it.
pub(crate) fn install(host: &Host, options: SetupOptions, done: Done) -> Result<()> {
    check(host)?;
    if let Some(calendar) = options.auto_update {
        auto_update::check(host, calendar)?;
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

/// Turns networkd on. Where it was off, other programs made the host's rules and routes, which it would delete.
fn turn_networkd_on(host: &Host, dry_run: bool, done: Done) -> Result<()> {
    let in_use = networkd::runs(host) || networkd::enabled(host);
    if let Some(text) = networkd_conf::missing(host).filter(|_| !in_use) {
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

/// Removes what [`install`] installed, and stops the containers.
pub(crate) fn remove(host: &Host, dry_run: bool, done: Done) -> Result<()> {
    check(host)?;
    let target = target(host);
    let updates = auto_update::installed(host);
    if updates {
        if !dry_run {
            auto_update::remove(host)?;
        }
        done(SetupStep::DisableUpdates)?;
    }
    if target.symlink_metadata().is_ok() {
        remove_programs(host, target, dry_run, done)?;
    } else if !networkd_conf::installed(host) && !updates {
        return done(SetupStep::NothingInstalled);
    }
    if networkd_conf::installed(host) {
        if !dry_run {
            networkd_conf::remove(host)?;
        }
        done(SetupStep::ReleaseNetworkd { runs: networkd::runs(host) })?;
    }
    Ok(())
}

/// Removes the programs, and stops the containers.
fn remove_programs(host: &Host, target: PathBuf, dry_run: bool, done: Done) -> Result<()> {
    not_masked(&target)?;
    // What does not answer as our generator was not installed by us.
    let installed = installation::ask(host, &target)
        .with_context(|| format!("{}: is not removed, since it may be another program", target.display()))?;
    let helper = Some(installed.helper).filter(|helper| !helper.starts_with("/nix"));
    let loaded = host.load();
    // A container that runs with a broken intent has files and a root like any other.
    let good = loaded.intents.iter().map(|stored| stored.name.clone());
    let broken = loaded.errors.iter().filter_map(|error| error.name.clone());
    let names: Vec<MachineName> = good.chain(broken).collect::<BTreeSet<_>>().into_iter().collect();
    let states = systemd::states(host, &names)?;
    let running = names.into_iter().filter(|name| states.get(name).is_some_and(|state| !state.stopped()));
    if !dry_run {
        // Stopped containers have sockets too: their units are removed, but PID 1 would keep listening.
        sockets::close_all(host)?;
    }
    // Without the generator nothing would remove their files, and the bare template would start with their roots.
    for name in running {
        if !dry_run {
            systemd::stop(host, &name)?;
        }
        done(SetupStep::Stop(name))?;
    }
    let files = FILES.iter().map(|(name, _)| Path::new(files::DIRECTORY).join(name));
    let paths: Vec<PathBuf> = [Some(target), helper.clone()].into_iter().flatten().chain(files).collect();
    let records = loaded.intents.len() + loaded.errors.len();
    if dry_run {
        return paths.into_iter().try_for_each(|path| done(SetupStep::Delete { paths: vec![path], records }));
    }
    paths.iter().try_for_each(|path| remove_file(path))?;
    let shared = Path::new(files::DIRECTORY);
    for folder in [helper.as_deref().and_then(Path::parent), Some(shared), shared.parent()] {
        // This removes the directory only if it is empty.
        let _ = folder.map(fs::remove_dir);
    }
    systemd::daemon_reload(host)?;
    // Without a generator, no container starts with them.
    copies::sweep(&host.root, |_| false);
    copies::sweep_networks(&host.root, |_| false);
    done(SetupStep::Delete { paths, records })
}

/// Refuses a file where the generator is installed that masks it (`systemd.generator(7)`).
fn not_masked(target: &Path) -> Result<()> {
    match target.metadata() {
        Ok(found) if found.is_file() && found.len() > 0 => Ok(()),
        Ok(_) => unchanged(
            format!("{}: masks the generator and was not installed by nixos-nspawn", target.display()),
            "remove this file first",
        ),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| target.display().to_string()),
    }
}

/// Refuses to install on NixOS, which has a module for it.
fn check(host: &Host) -> Result<()> {
    if host.path("/etc/NIXOS").exists() {
        return unchanged(
            "this is NixOS, where /etc/systemd/system-generators is part of the configuration",
            "use systemd.packages or the NixOS module",
        );
    }
    Ok(())
}

/// Returns the path where the generator is installed.
fn target(host: &Host) -> PathBuf {
    host.directory(host.scope.own_generators).join(GENERATOR)
}

/// Records what the generator must know about the host, such as a new version of systemd or BootLimit= of
/// nixos-nspawn.conf.
fn record_host(host: &Host, dry_run: bool, done: Done) -> Result<()> {
    let facts = host_file::load(host)?.host;
    let present = host.load().host;
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

/// Returns the generator that came with this program.
fn beside_this_program() -> Result<PathBuf> {
    let program = std::env::current_exe()?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    // Not ../libexec: in /usr/local that is a copy of an earlier setup.
    let places = [folder.join(GENERATOR), folder.join("../lib/systemd/system-generators").join(GENERATOR)];
    match places.iter().find(|place| place.is_file()) {
        Some(path) => Ok(path.canonicalize()?),
        None => unchanged(format!("{}: not found beside this program", places[0].display()), ""),
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
