//! Removes programs and files.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use nixos_nspawn_units::copies;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use nixos_nspawn_units::store::Loaded;

use super::places::{check, not_masked, target};
use super::steps::{Done, SetupStep};
use crate::base::host::Host;
use crate::fact::installation;
use crate::fact::installation::Installed;
use crate::fact::lookup::all_seen;
use crate::host::files::remove_file;
use crate::host::{auto_update, networkd, networkd_conf, sockets, systemd, unit_states};
use crate::nix::files;
use crate::nix::files::FILES;

/// Removes what `install` installed, and stops the containers.
pub(crate) fn remove(host: &Host, dry_run: bool, done: Done) -> Result<()> {
    check(host)?;
    let target = target(host);
    // Checked before anything is removed, since this may refuse.
    let programs = match target.symlink_metadata() {
        Ok(_) => Some(own(host, &target)?),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| target.display().to_string()),
    };
    let loaded = host.load();
    // A container that is not seen would start with the bare template.
    all_seen(&loaded)?;
    let (updates, networkd) = (auto_update::installed(host)?, networkd_conf::installed(host)?);
    if updates {
        if !dry_run {
            auto_update::remove(host)?;
        }
        done(SetupStep::DisableUpdates)?;
    }
    if let Some(installed) = programs {
        remove_programs(host, target, installed, &loaded, dry_run, done)?;
    } else if !networkd && !updates {
        return done(SetupStep::NothingInstalled);
    }
    if networkd {
        if !dry_run {
            networkd_conf::remove(host)?;
        }
        done(SetupStep::ReleaseNetworkd { runs: networkd::runs(host) })?;
    }
    Ok(())
}

/// Refuses a program that does not answer like our generator, since we did not install it.
fn own(host: &Host, target: &Path) -> Result<Installed> {
    not_masked(target)?;
    installation::ask(host, target)
        .with_context(|| format!("{}: is not removed, since it may be another program", target.display()))
}

/// Removes the programs, and stops the containers.
fn remove_programs(
    host: &Host,
    target: PathBuf,
    installed: Installed,
    loaded: &Loaded,
    dry_run: bool,
    done: Done,
) -> Result<()> {
    let helper = Some(installed.helper).filter(|helper| !helper.starts_with("/nix"));
    // A container that runs with a broken intent has files and a root like any other.
    let good = loaded.intents.iter().map(|stored| stored.name.clone());
    let broken = loaded.errors.iter().filter_map(|error| error.name.clone());
    let names: Vec<MachineName> = good.chain(broken).collect::<BTreeSet<_>>().into_iter().collect();
    let states = unit_states::states(host, &names)?;
    let mut running = Vec::new();
    for name in names {
        match states.get(&name) {
            Some(state) if state.stopped() => {}
            Some(_) => running.push(name),
            None => bail!("{}: systemctl does not tell whether it runs", unit_name(&name)),
        }
    }
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
    // Without a generator, these files start no container.
    copies::sweep(&host.root, |_| false);
    copies::sweep_networks(&host.root, |_| false);
    done(SetupStep::Delete { paths, records })
}
