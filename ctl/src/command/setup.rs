//! `setup`: puts the generator, its unit helper and the files for Nix onto a system that has no package of them. Programs
//! are copies, since /nix may not be mounted when generators run; the files are in this program. `setup --remove` takes
//! them away. NixOS has a module for it.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::fs;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::store::{DIRECTORY, HOST_FILE};
use nixos_nspawn_units::write::write_durably;
use rustix::fs::{CWD, Mode, OFlags, openat};
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::{Failed, refuse};
use crate::base::output;
use crate::change::settle::repair;
use crate::cli::Setup;
use crate::fact::installation;
use crate::fact::installation::{GENERATOR, Installed};
use crate::host::elf::{Linking, linking};
use crate::host::lock::Lock;
use crate::host::{host_file, sockets, systemd};
use crate::nix::files;
use crate::nix::files::FILES;

/// Where administrators put generators (`systemd.generator(7)`).
const TARGET: &str = "/etc/systemd/system-generators";

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Setup) -> Result<()> {
    if !arguments.dry_run {
        context.need_root("setup")?;
    }
    context.need_systemd()?;
    if Path::new("/etc/NIXOS").exists() {
        return refuse(
            "this is NixOS, where /etc/systemd/system-generators is part of the configuration, nothing was changed; \
             use systemd.packages or the NixOS module",
        );
    }
    let mut report = Report { dry_run: arguments.dry_run, steps: Vec::new(), context };
    match arguments.remove {
        true => remove(context, &mut report)?,
        false => install(context, arguments, &mut report)?,
    }
    if context.json { output::print_json(&report) } else { Ok(()) }
}

/// What was or would be done, as scripts see it; people are told of each step when it is done.
#[derive(Serialize)]
struct Report<'a> {
    dry_run: bool,
    steps: Vec<Step>,
    #[serde(skip)]
    context: &'a Context,
}

/// One step.
#[derive(Serialize)]
struct Step {
    action: Action,
    /// Paths, a unit, or containers.
    targets: Vec<String>,
}

/// What a step does.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// Leaves what a package has installed.
    Keep,
    /// Puts programs and files in place.
    Install,
    /// Writes what the generator must know of the host.
    Record,
    /// Enables and starts a unit.
    Enable,
    /// Stops a container.
    Stop,
    /// Deletes files.
    Delete,
}

impl Report<'_> {
    fn step<T: Display>(
        &mut self,
        action: Action,
        targets: impl IntoIterator<Item = T>,
        text: &str,
    ) -> Result<()> {
        let targets = targets.into_iter().map(|target| target.to_string()).collect();
        self.steps.push(Step { action, targets });
        if self.context.json { Ok(()) } else { output::print(&format!("{text}\n")) }
    }
}

fn install(context: &Context, arguments: &Setup, report: &mut Report) -> Result<()> {
    let version = systemd::version(context)?;
    if version < installation::OLDEST_SYSTEMD {
        return refuse(format!(
            "systemd {version} is too old, nothing was changed; {} or newer is needed",
            installation::OLDEST_SYSTEMD
        ));
    }
    let target = Path::new(TARGET).join(GENERATOR);
    match installation::generator_file(context) {
        Some(present) if present.starts_with("/run") => {
            return refuse(format!(
                "{}: hides or masks any generator that is installed, nothing was changed; remove this file first",
                present.display()
            ));
        }
        Some(present) if present != target => {
            let present = present.display();
            let text = format!("{present}: the generator is installed by a package, nothing to do");
            report.step(Action::Keep, [present], &text)?;
        }
        _ => copy(context, &target, report)?,
    }
    record_host(context, report)?;
    if arguments.networkd {
        const NETWORKD: &str = "systemd-networkd.service";
        if !arguments.dry_run {
            context.program("systemctl").args(["enable", "--now", NETWORKD]).output()?;
        }
        let text = match arguments.dry_run {
            true => "would enable and start systemd-networkd.service",
            false => "systemd-networkd is enabled and running",
        };
        report.step(Action::Enable, [NETWORKD], text)?;
    }
    Ok(())
}

/// What the generator must know of the host: a new systemd, another BootLimit= of nixos-nspawn.conf.
fn record_host(context: &Context, report: &mut Report) -> Result<()> {
    let host = host_file::load(context)?.host;
    let present = context.load().host;
    if host == present && (context.path(HOST_FILE).exists() || host.boot_limit.is_none()) {
        return Ok(());
    }
    let limit = match host.boot_limit {
        Some(limit) => format!("at most {} containers start at the same time at boot", limit.get()),
        None => "no limit on containers that start at boot".to_owned(),
    };
    let what = format!("{HOST_FILE}: systemd {}, {limit}", host.systemd);
    if report.dry_run {
        return report.step(Action::Record, [HOST_FILE], &format!("would write {what}"));
    }
    let _global = Lock::global(context)?;
    DirBuilder::new().recursive(true).mode(0o755).create(DIRECTORY).context(DIRECTORY)?;
    if host_file::record(context, &host)? {
        systemd::daemon_reload(context)?;
        report.step(Action::Record, [HOST_FILE], &what)?;
    }
    Ok(())
}

fn copy(context: &Context, target: &Path, report: &mut Report) -> Result<()> {
    let source = beside_this_program()?;
    let bytes = fs::read(&source.path).with_context(|| source.path.display().to_string())?;
    let own = try_out(context, &source, &bytes)?;
    let places = [target, &own.helper, Path::new(files::DIRECTORY)].map(Path::display);
    let [generator, helper, files] = &places;
    if report.dry_run {
        let text = format!(
            "would copy {} to {helper} and {generator}\nwould write {} files for Nix to {files}\n\
             would run systemctl daemon-reload",
            source.path.display(),
            FILES.len()
        );
        return report.step(Action::Install, places, &text);
    }
    for (name, text) in FILES {
        put(&Path::new(files::DIRECTORY).join(name), text.as_bytes(), 0o644)?;
    }
    // The helper first: a drop-in of the new generator must find it.
    put(&own.helper, &bytes, 0o755)?;
    put(target, &bytes, 0o755)?;
    systemd::daemon_reload(context)?;
    let text = format!("{generator} {} is installed, and {helper}, and {files}", own.version);
    report.step(Action::Install, places, &text)
}

/// The generator that came with this program.
struct Source {
    path: PathBuf,
}

fn beside_this_program() -> Result<Source> {
    let program = std::env::current_exe()?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    // Not ../libexec: below /usr/local that is what an earlier setup has put there.
    let places = [folder.join(GENERATOR), folder.join("../lib/systemd/system-generators").join(GENERATOR)];
    let found = places.iter().find(|place| place.is_file());
    match found {
        Some(path) => Ok(Source { path: path.canonicalize()? }),
        None => {
            refuse(format!("{}: not found beside this program, nothing was changed", places[0].display()))
        }
    }
}

/// A copy must run without /nix, and must do so here.
fn try_out(context: &Context, source: &Source, bytes: &[u8]) -> Result<Installed> {
    let path = source.path.display();
    match linking(bytes) {
        Linking::Static => {}
        Linking::Dynamic => {
            return refuse(format!(
                "{path}: is linked dynamically, so a copy would not run before its libraries are mounted, nothing was \
                 changed; use a static build"
            ));
        }
        Linking::Unknown => return refuse(format!("{path}: is no program, nothing was changed")),
    }
    let own = installation::ask(context, &source.path)?;
    if own.helper.starts_with("/nix") {
        return refuse(format!(
            "{path}: was built for a package, with its helper at {}, nothing was changed; use a build with \
             PREFIX=/usr/local",
            own.helper.display()
        ));
    }
    let trial = tempfile::tempdir()?;
    context.program(&source.path).arg("--root").arg(trial.path()).arg(trial.path()).output()?;
    Ok(own)
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let failed = || format!("{}: cannot be written", path.display());
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
        return Err(Failed::Usage(format!("{}: is no file name", path.display())).into());
    };
    DirBuilder::new().recursive(true).mode(0o755).create(folder).with_context(failed)?;
    let folder =
        openat(CWD, folder, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).with_context(failed)?;
    write_durably(&folder, name, bytes, Mode::from_raw_mode(mode)).with_context(failed)
}

fn remove(context: &Context, report: &mut Report) -> Result<()> {
    let dry_run = report.dry_run;
    let target = Path::new(TARGET).join(GENERATOR);
    if target.symlink_metadata().is_err() {
        let text = "setup has installed nothing here, nothing to do";
        return report.step::<&str>(Action::Delete, [], text);
    }
    if !dry_run {
        repair(context);
    }
    let helper = installation::ask(context, &target)
        .ok()
        .map(|own| own.helper)
        .filter(|helper| !helper.starts_with("/nix"));
    let loaded = context.load();
    // One that runs while its intent is broken has files and a root here like any other.
    let good = loaded.intents.iter().map(|stored| stored.name.clone());
    let broken = loaded.errors.iter().filter_map(|error| error.name.clone());
    let names: Vec<MachineName> = good.chain(broken).collect::<BTreeSet<_>>().into_iter().collect();
    let states = systemd::states(context, &names)?;
    let running: Vec<MachineName> =
        names.into_iter().filter(|name| states.get(name).is_some_and(|state| !state.stopped())).collect();
    if !dry_run {
        // Also of those that do not run: their units go, and PID 1 would listen all the same.
        sockets::close_all(context)?;
    }
    // Without the generator nothing would take their files away, and the bare template would start on their roots.
    for name in &running {
        if dry_run {
            report.step(Action::Stop, [name], &format!("would stop container '{name}'"))?;
        } else {
            systemd::stop(context, name)?;
            report.step(Action::Stop, [name], &format!("container '{name}' is stopped"))?;
        }
    }
    let files = FILES.iter().map(|(name, _)| Path::new(files::DIRECTORY).join(name));
    let paths: Vec<PathBuf> = [Some(target), helper.clone()].into_iter().flatten().chain(files).collect();
    for path in &paths {
        if dry_run {
            report.step(Action::Delete, [path.display()], &format!("would delete {}", path.display()))?;
        } else if let Err(error) = fs::remove_file(path) {
            if error.kind() != std::io::ErrorKind::NotFound {
                return Err(error).with_context(|| format!("{}: cannot be deleted", path.display()));
            }
        }
    }
    if dry_run {
        return Ok(());
    }
    let shared = Path::new(files::DIRECTORY);
    for folder in [helper.as_deref().and_then(Path::parent), Some(shared), shared.parent()] {
        // Only if it is empty.
        let _ = folder.map(fs::remove_dir);
    }
    systemd::daemon_reload(context)?;
    copies::sweep(&context.root);
    copies::sweep_networks(&context.root);
    let records = loaded.intents.len() + loaded.errors.len();
    let kept = if records > 0 { format!("; {records} records stay in {DIRECTORY}") } else { String::new() };
    let paths = paths.iter().map(|path| path.display());
    report.step(Action::Delete, paths, &format!("the generator is removed{kept}"))
}
