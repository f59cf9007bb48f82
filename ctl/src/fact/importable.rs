//! Finds the containers of other programs, and reads what these record of them.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::service::unit_name;
use systemd_unit_syntax::parse;

use crate::base::exit::{Failed, unchanged};
use crate::base::host::Host;
use crate::base::tree::{open_below, read_regular};
use crate::host::files::{is_there, names_in};
use crate::host::imported::{Imported, Move, Tool};
use crate::host::mounts::mounts_below;

/// Where nixos-container keeps configurations and state, since NixOS 22.05 and before.
const PLACES: [[&str; 2]; 2] =
    [["/etc/nixos-containers", "/var/lib/nixos-containers"], ["/etc/containers", "/var/lib/containers"]];

/// Where nixos-container keeps its profiles.
const PER_CONTAINER: &str = "/nix/var/nix/profiles/per-container";
/// Where python-nixos-nspawn keeps its profiles.
const PER_NSPAWN: &str = "/nix/var/nix/profiles/per-nspawn";
/// Where python-nixos-nspawn links its settings and its network files.
const NSPAWN_FILES: &str = "/etc/systemd/nspawn";
const NETWORK_FILES: &str = "/etc/systemd/network";

/// What another program records of a container.
#[derive(Debug)]
pub(crate) struct Importable {
    /// The file that makes it a container of that program.
    pub(crate) file: PathBuf,
    /// The text of that file.
    pub(crate) text: String,
    /// What the file links to if something else has made it, so that it cannot be moved away.
    pub(crate) declared: Option<PathBuf>,
    /// The link of the profile; empty if the root says what the system is.
    pub(crate) profile: PathBuf,
    /// Settings of its unit: the file, the setting and the value.
    pub(crate) unit_settings: Vec<(PathBuf, String, String)>,
    /// What an import moves.
    pub(crate) imported: Imported,
}

/// Returns the names of all containers of a program.
pub(crate) fn names(host: &Host, tool: Tool) -> Result<Vec<String>> {
    let mut names = Vec::new();
    match tool {
        Tool::NixosContainer => {
            for [folder, _] in PLACES {
                for file in names_in(&host.path(folder))? {
                    let Some(name) = file.strip_suffix(".conf") else { continue };
                    // The older directory is also that of podman, whose files are none of containers.
                    if folder == PLACES[0][0] || is_there(&host.path(PER_CONTAINER).join(name))? {
                        names.push(name.to_owned());
                    }
                }
            }
        }
        Tool::PythonNixosNspawn => {
            for file in names_in(&host.path(NSPAWN_FILES))? {
                let Some(name) = file.strip_suffix(".nspawn") else { continue };
                let target = fs::read_link(host.path(NSPAWN_FILES).join(&file));
                if target.is_ok_and(|target| target.starts_with(PER_NSPAWN)) {
                    names.push(name.to_owned());
                }
            }
        }
        // Its containers are named by their files.
        Tool::Nspawn => {}
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Reads what a program records of a container.
pub(crate) fn find(host: &Host, tool: Tool, name: &MachineName) -> Result<Importable> {
    match tool {
        Tool::NixosContainer => nixos_container(host, name),
        Tool::PythonNixosNspawn => python(host, name),
        Tool::Nspawn => nspawn(host, name),
    }
}

fn nixos_container(host: &Host, name: &MachineName) -> Result<Importable> {
    for [folder, states] in PLACES {
        let file = Path::new(folder).join(format!("{name}.conf"));
        let Some(conf) = Move::of(host, &file, false)? else { continue };
        let state = Path::new(states).join(name.as_str());
        check_state(host, &state)?;
        let moves = [Some(conf), Move::of(host, &state, true)?];
        return Ok(Importable {
            text: text(host, &file)?,
            declared: fs::read_link(host.path(&file)).ok(),
            profile: Path::new(PER_CONTAINER).join(name.as_str()).join("system"),
            unit_settings: unit_settings(host, &format!("container@{name}.service.d"))?,
            imported: Imported {
                tool: Tool::NixosContainer,
                moves: moves.into_iter().flatten().collect(),
                copied_from: None,
            },
            file,
        });
    }
    absent(name, &format!("{}/{name}.conf", PLACES[0][0]))
}

fn python(host: &Host, name: &MachineName) -> Result<Importable> {
    let file = Path::new(NSPAWN_FILES).join(format!("{name}.nspawn"));
    let Some(own) = Move::of(host, &file, false)? else { return absent(name, &file.to_string_lossy()) };
    let folder = Path::new(PER_NSPAWN).join(name.as_str());
    let target = fs::read_link(host.path(&file)).ok();
    if !target.as_ref().is_some_and(|target| target.starts_with(&folder)) {
        return unchanged(
            format!(
                "{}: does not link into {}, as python-nixos-nspawn makes it",
                file.display(),
                folder.display()
            ),
            "",
        );
    }
    let mut moves = vec![own];
    for link in names_in(&host.path(NETWORK_FILES))? {
        let path = Path::new(NETWORK_FILES).join(link);
        if fs::read_link(host.path(&path)).is_ok_and(|target| target.starts_with(&folder)) {
            moves.extend(Move::of(host, &path, false)?);
        }
    }
    let drop_in = format!("/run/systemd/system/systemd-nspawn@{name}.service.d/override.conf");
    moves.extend(Move::of(host, Path::new(&drop_in), false)?);
    moves.extend(Move::of(host, &folder, false)?);
    Ok(Importable {
        text: String::new(),
        declared: None,
        profile: folder.join("system"),
        unit_settings: Vec::new(),
        imported: Imported { tool: Tool::PythonNixosNspawn, moves, copied_from: None },
        file,
    })
}

fn nspawn(host: &Host, name: &MachineName) -> Result<Importable> {
    let files = host.scope.nspawn_files.map(|folder| Path::new(folder).join(format!("{name}.nspawn")));
    for file in &files {
        let Some(own) = Move::of(host, file, false)? else { continue };
        let declared = fs::read_link(host.path(file)).ok();
        if declared.as_ref().is_some_and(|target| target.starts_with(PER_NSPAWN)) {
            return unchanged(
                format!("{}: is of python-nixos-nspawn", file.display()),
                format!("'nixos-nspawn import python-nixos-nspawn {name}' takes it over"),
            );
        }
        return Ok(Importable {
            text: text(host, file)?,
            declared,
            profile: PathBuf::new(),
            unit_settings: unit_settings(host, &format!("{}.d", unit_name(name)))?,
            imported: Imported { tool: Tool::Nspawn, moves: vec![own], copied_from: None },
            file: file.clone(),
        });
    }
    absent(name, &files[0].to_string_lossy())
}

fn absent<T>(name: &MachineName, path: &str) -> Result<T> {
    Err(Failed::Usage(format!("{path} does not exist, so there is no container '{name}' to import")).into())
}

fn text(host: &Host, path: &Path) -> Result<String> {
    let cannot = || format!("{}: cannot be read", path.display());
    let bytes = open_below(&host.root, path).and_then(read_regular).with_context(cannot)?;
    String::from_utf8(bytes).with_context(cannot)
}

/// Refuses a state that cannot be moved as a whole.
fn check_state(host: &Host, state: &Path) -> Result<()> {
    let path = host.path(state);
    let found = match fs::symlink_metadata(&path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    if !found.is_dir() {
        let kind = if found.file_type().is_block_device() { "a device" } else { "not a directory" };
        return unchanged(
            format!("{}: is {kind}, so it cannot become the container's state", path.display()),
            "",
        );
    }
    match mounts_below(&path)?.first() {
        Some(mount) => unchanged(
            format!("{}: is a mount point in the container's state", mount.display()),
            "unmount it first",
        ),
        None => Ok(()),
    }
}

/// Returns the settings of the drop-ins of a unit, also those of `systemctl set-property`.
fn unit_settings(host: &Host, folder: &str) -> Result<Vec<(PathBuf, String, String)>> {
    let mut settings = Vec::new();
    for parent in ["/etc/systemd/system.control", "/etc/systemd/system"] {
        let folder = Path::new(parent).join(folder);
        for file in names_in(&host.path(&folder))?.into_iter().filter(|file| file.ends_with(".conf")) {
            let path = folder.join(file);
            let parsed = parse(text(host, &path)?.as_bytes())
                .map_err(|error| Failed::unchanged(error.at(path.display().to_string()).to_string(), ""))?;
            let lines = parsed.file.settings().filter(|(section, ..)| *section == "Service");
            settings.extend(lines.map(|(_, key, value)| (path.clone(), key.to_owned(), value.to_owned())));
        }
    }
    Ok(settings)
}
