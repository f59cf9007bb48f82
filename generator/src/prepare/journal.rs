//! Checks the directory of journals, from which nspawn links the container's journal into the host's. nspawn creates
//! directories there as root of the host and follows links, but the container controls everything below
//! var/log/journal.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::resolve::open_resolved;
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat, stat};
use rustix::io::Errno;
use systemd_unit_syntax::UnitFile;
use systemd_unit_syntax::settings::parse_boolean;
use systemd_unit_syntax::words::{bind_fields, first_field};

use crate::log::Log;
use crate::prepare::exposed::writable_by_others;
use crate::prepare::root_directory::beneath;
use crate::prepare::source::path_of;

/// The directory of journals, in a container's root.
const JOURNAL: &str = "/var/log/journal";

/// The maximum number of journals of a container to check; normally there is one.
const MOST: usize = 1024;

/// Turns the link off for this start if nspawn would follow a symbolic link, or another container could make one before
/// nspawn looks.
///
/// `declared` has the sources of bind mounts as the intent names them, `file` those that nspawn mounts.
pub(crate) fn check(root: &Path, name: &MachineName, declared: &UnitFile, file: &mut UnitFile, log: &Log) {
    if file.values("Exec", "LinkJournal").last().and_then(parse_boolean) == Some(false) {
        return;
    }
    let Err(reason) = followed(root, name, declared, file) else { return };
    log.warning(&format!(
        "{reason}, the journal of container '{name}' is not linked into the host's; remove it from there"
    ));
    for section in file.sections.iter_mut().filter(|section| section.name == "Exec") {
        if section.has("LinkJournal") {
            section.remove("LinkJournal");
            section.set("LinkJournal", "no");
        }
    }
}

/// What is mounted over a part of the path.
enum Over {
    /// Something empty.
    Nothing,
    /// A bind source, by its path on the host.
    Source(PathBuf),
    /// Something that cannot be inspected.
    Unknown,
}

/// Fails with the reason if nspawn would follow a link, or could after this check.
fn followed(root: &Path, name: &MachineName, declared: &UnitFile, file: &UnitFile) -> Result<(), String> {
    let machine = root.join("var/lib/machines").join(name.as_str());
    let open =
        |path: &Path| openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let shown = |path: &Path, error: Errno| format!("{}: {}", path.display(), io::Error::from(error));
    let top = open(&machine).map_err(|error| shown(&machine, error))?;
    let (mut at, mut directory, mut left) = (machine.clone(), top, Path::new(&JOURNAL[1..]));
    let start = match deepest(&directory, &machine, root, declared) {
        Some((_, Over::Source(source))) => source,
        _ => machine.clone(),
    };
    if let Some((place, over)) = deepest(&directory, &machine, root, file) {
        left = Path::new(JOURNAL).strip_prefix(&place).unwrap_or(left);
        match over {
            Over::Nothing => return Ok(()),
            Over::Unknown => return Err(format!("{}: is a mount that cannot be checked", place.display())),
            Over::Source(source) => {
                directory = open(&source).map_err(|error| shown(&source, error))?;
                at = source;
            }
        }
    }
    let mut walked: Vec<(PathBuf, Stat)> = Vec::new();
    let mut there = true;
    for part in left.iter() {
        at.push(part);
        directory = match beneath(&directory, part, OFlags::DIRECTORY) {
            Ok(below) => below,
            // Whoever can write above it may put a link there before nspawn looks.
            Err(Errno::NOENT) => {
                there = false;
                break;
            }
            Err(Errno::LOOP) => return Err(format!("{}: is a symbolic link", at.display())),
            Err(error) => return Err(shown(&at, error)),
        };
        walked.push((at.clone(), fstat(&directory).map_err(|error| shown(&at, error))?));
    }
    if there {
        no_links(&directory, &at)?;
    }
    // Whoever can write above the host's own journal needs no link.
    let above = start.ancestors().filter(|above| !root.join(&JOURNAL[1..]).starts_with(above));
    for path in above {
        walked.push((path.to_owned(), stat(path).map_err(|error| shown(path, error))?));
    }
    let others = writable_by_others(root, name)?;
    match walked.iter().find(|(_, stat)| others.contains(&(stat.st_dev, stat.st_ino))) {
        Some((path, _)) => Err(format!("{}: another container can write to it", path.display())),
        None => Ok(()),
    }
}

/// Fails if the directory of journals has a symbolic link.
fn no_links(directory: &OwnedFd, at: &Path) -> Result<(), String> {
    let shown = |error: Errno| format!("{}: {}", at.display(), io::Error::from(error));
    let listed = openat(directory, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .and_then(Dir::read_from)
        .map_err(shown)?;
    for (number, entry) in listed.enumerate() {
        let entry = entry.map_err(shown)?;
        if number >= MOST {
            return Err(format!("{}: has more than {MOST} entries", at.display()));
        }
        let link = match entry.file_type() {
            FileType::Unknown => beneath(directory, entry.file_name(), OFlags::empty()).is_err(),
            kind => kind == FileType::Symlink,
        };
        if link {
            let file = entry.file_name().to_string_lossy().into_owned();
            return Err(format!("{}: is a symbolic link", at.join(file).display()));
        }
    }
    Ok(())
}

/// Returns the deepest mount at or above the directory of journals.
fn deepest(top: &OwnedFd, machine: &Path, root: &Path, file: &UnitFile) -> Option<(PathBuf, Over)> {
    let binds =
        file.values("Files", "Bind").chain(file.values("Files", "BindReadOnly")).filter_map(|value| {
            let fields = bind_fields(value).ok()?;
            let over = match fields.source.strip_prefix('+') {
                Some(inside) => Over::Source(machine.join(inside.trim_start_matches('/'))),
                None if fields.source.is_empty() => Over::Nothing,
                None => Over::Source(root.join(fields.source.trim_start_matches('/'))),
            };
            Some((fields.destination.unwrap_or(fields.source), over))
        });
    let systems = file
        .values("Files", "TemporaryFileSystem")
        .filter_map(|value| Some((first_field(value).ok()?.0, Over::Nothing)));
    let overlays = file
        .values("Files", "Overlay")
        .chain(file.values("Files", "OverlayReadOnly"))
        .filter_map(|value| Some((value.rsplit(':').next()?.to_owned(), Over::Unknown)));
    binds
        .chain(systems)
        .chain(overlays)
        .map(|(destination, over)| (real(top, machine, Path::new(&destination)), over))
        .filter(|(destination, _)| Path::new(JOURNAL).starts_with(destination))
        .max_by_key(|(destination, _)| destination.components().count())
}

/// Returns where a destination leads in the root, whose links nspawn follows within it.
fn real(top: &OwnedFd, machine: &Path, destination: &Path) -> PathBuf {
    let mut present = destination;
    loop {
        let below = present.strip_prefix("/").unwrap_or(present);
        let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
        let found = open_resolved(top, below, OFlags::PATH | OFlags::CLOEXEC, ResolveFlags::IN_ROOT);
        if let Ok(path) = found.map_err(io::Error::from).and_then(|found| path_of(&found)) {
            let machine = machine.canonicalize().unwrap_or_else(|_| machine.to_owned());
            let path = Path::new("/").join(path.strip_prefix(machine).unwrap_or(&path));
            let missing = destination.strip_prefix(present).unwrap_or(Path::new(""));
            return path
                .components()
                .chain(missing.components())
                .filter(|part| *part != Component::CurDir)
                .collect();
        }
        match present.parent() {
            Some(parent) => present = parent,
            None => return destination.to_owned(),
        }
    }
}
