//! Reads files and returns what is wrong with them. Directories are searched; nothing that could block is opened, and
//! links to directories are not followed.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use nixos_nspawn_units::store::{DIRECTORY, HOST_FILE};
use nixos_nspawn_units::verify;
use nixos_nspawn_units::verify::{Finding, NEWEST};
use rustix::io::Errno;
use serde::Deserialize;
use walkdir::WalkDir;

use crate::base::config;
use crate::base::config::Config;
use crate::base::scope::Scope;
use crate::base::tree::{open_below, read_regular};
use crate::fact::verify_kind::{Kind, kind_of};

/// A file and what is wrong with it.
#[derive(Debug)]
pub(crate) struct Verified {
    /// Its path.
    pub(crate) path: PathBuf,
    /// The findings, in order of lines.
    pub(crate) findings: Vec<Finding>,
}

/// A path that cannot be checked.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", nixos_nspawn_units::invalid::brief(&path.to_string_lossy()))]
pub(crate) struct Unusable {
    path: PathBuf,
    reason: String,
}

/// Returns the version of systemd that the host has according to its host.json, or the newest known one.
pub(crate) fn host_version(root: &Path) -> u32 {
    #[derive(Deserialize)]
    struct Host {
        systemd: u32,
    }
    let bytes = open_below(root, Path::new(HOST_FILE)).and_then(read_regular);
    let host = bytes.ok().and_then(|bytes| serde_json::from_slice::<Host>(&bytes).ok());
    host.map_or(NEWEST, |host| host.systemd)
}

/// Checks the files of a host: other people's `.nspawn` files, intents, and our settings.
pub(crate) fn of_host(root: &Path, systemd: u32) -> Vec<Verified> {
    let scope = Scope::SYSTEM;
    // nspawn keeps directories of its own beside the files in /run; declarative.d is below ours.
    let places = scope.nspawn_files.into_iter().chain(scope.defaults).map(|place| (place, 1));
    let mut all = Vec::new();
    for (place, depth) in places.chain([(DIRECTORY, 2)]) {
        let below = root.join(place.trim_start_matches('/'));
        // A link would be followed on this machine, not in the tree.
        let leads_out = || below.canonicalize().is_ok_and(|target| !target.starts_with(root));
        let is_link = below.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        if root != Path::new("/") && is_link && (leads_out() || !below.exists()) {
            all.push(Verified {
                path: below,
                findings: vec![whole("is a link that leads out of the tree, not checked".to_owned())],
            });
        } else if below.exists() {
            walk(root, WalkDir::new(below).max_depth(depth), systemd, &mut all);
        }
    }
    all
}

/// Checks these files and directories, each file once. Returns also the paths that cannot be checked, which keep no other from
/// being.
pub(crate) fn of_paths(paths: &[PathBuf], systemd: u32) -> (Vec<Verified>, Vec<Unusable>) {
    let mut all = Vec::new();
    let mut unusable = Vec::new();
    for path in paths {
        let mut cannot = |reason: String| unusable.push(Unusable { path: path.clone(), reason });
        match fs::metadata(path) {
            Err(error) => cannot(describe(&error)),
            Ok(metadata) if metadata.is_dir() => walk(Path::new("/"), WalkDir::new(path), systemd, &mut all),
            Ok(_) => match kind_of(&absolute(path), true) {
                Some(kind) => {
                    let findings = check(Path::new("/"), &absolute(path), &kind, systemd);
                    all.push(Verified { path: path.clone(), findings });
                }
                None => cannot(
                    "is of no kind that 'verify' knows; see nixos-nspawn-ctl(8) for the names of files"
                        .to_owned(),
                ),
            },
        }
    }
    let mut seen = BTreeSet::new();
    all.retain(|file| seen.insert(file.path.clone()));
    (all, unusable)
}

/// Checks the files in a directory that are of a known kind.
fn walk(root: &Path, directory: WalkDir, systemd: u32, all: &mut Vec<Verified>) {
    for entry in directory.sort_by_file_name() {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                let reason = error.io_error().map_or_else(|| error.to_string(), describe);
                all.push(Verified { path, findings: vec![whole(reason)] });
                continue;
            }
        };
        let path = entry.path();
        if entry.file_type().is_dir() {
            continue;
        }
        let Some(kind) = kind_of(&absolute(path), false) else { continue };
        // As in systemd's directories, a link to /dev/null masks the file.
        let target = entry.path_is_symlink().then(|| fs::read_link(path).ok()).flatten();
        if target.is_some_and(|target| target == Path::new("/dev/null")) {
            continue;
        }
        let inside = match path.strip_prefix(root) {
            Ok(inside) if root != Path::new("/") => Path::new("/").join(inside),
            _ => absolute(path),
        };
        all.push(Verified { path: path.to_owned(), findings: check(root, &inside, &kind, systemd) });
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Reads and checks one file.
fn check(root: &Path, path: &Path, kind: &Kind, systemd: u32) -> Vec<Finding> {
    let bytes = match open_below(root, path).and_then(read_regular) {
        Ok(bytes) => bytes,
        Err(error) => return vec![whole(describe(&error))],
    };
    match kind {
        Kind::Nspawn => verify::nspawn(&bytes, systemd),
        Kind::Unit(kind) => verify::unit(&bytes, kind),
        Kind::Syntax => verify::unit(&bytes, ""),
        Kind::Config => verify::settings(&bytes, config::SETTINGS, Config::check),
        Kind::Intent(name) => verify::intent(&bytes, name, systemd),
        Kind::Misnamed(name) => {
            let shown = nixos_nspawn_units::invalid::shown(name);
            vec![whole(format!("the file name '{shown}' is not the name of a container"))]
        }
        Kind::Data => verify::data(&bytes),
        Kind::Host => verify::host(&bytes),
    }
}

/// Returns a finding about a file as a whole.
fn whole(reason: String) -> Finding {
    Finding { reason, ..Finding::default() }
}

fn describe(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::NOENT) => "does not exist".to_owned(),
        Some(Errno::ACCESS) => "cannot be read: permission denied; try again with sudo".to_owned(),
        // A socket, or a device without a driver.
        Some(Errno::NXIO | Errno::NODEV) => "is not a regular file".to_owned(),
        Some(_) => format!("cannot be read: {error}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    fn shown(all: &[Verified], root: &Path) -> Vec<String> {
        let line = |file: &Verified, finding: &Finding| {
            let path = file.path.strip_prefix(root).unwrap().display().to_string();
            format!("{path}:{}: {finding}", finding.line.unwrap_or(0))
        };
        all.iter().flat_map(|file| file.findings.iter().map(move |finding| line(file, finding))).collect()
    }

    #[test]
    fn directories_are_searched_and_nothing_blocks() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("a/x.service.d")).unwrap();
        fs::write(root.join("a/web.nspawn"), "[Exec]\nBot=yes\n").unwrap();
        fs::write(root.join("a/x.service.d/1.conf"), "Nice=1\n").unwrap();
        fs::write(root.join("a/readme"), "Nice=1\n").unwrap();
        fs::write(root.join("a/package.json"), "[]").unwrap();
        fs::write(root.join("a/large.nspawn"), vec![b'#'; (1 << 20) + 1]).unwrap();
        mknodat(CWD, root.join("a/fifo.nspawn"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        symlink("/dev/null", root.join("a/masked.nspawn")).unwrap();
        symlink(&root, root.join("a/loop")).unwrap();
        symlink("nowhere", root.join("a/missing.nspawn")).unwrap();
        symlink("web.nspawn", root.join("a/link.nspawn")).unwrap();
        let all = of_paths(&[root.join("a"), root.join("a/web.nspawn")], 257).0;
        let expected = [
            "a/fifo.nspawn:0: is not a regular file",
            "a/large.nspawn:0: is larger than 1 MiB",
            "a/link.nspawn:2: [Exec] Bot=: is not known, ignored; did you mean 'Boot'?",
            "a/missing.nspawn:0: does not exist",
            "a/web.nspawn:2: [Exec] Bot=: is not known, ignored; did you mean 'Boot'?",
            "a/x.service.d/1.conf:1: the line stands before the first section, ignored",
        ];
        assert_eq!(shown(&all, &root), expected);
        let paths = ["none", "a/readme", "a/web.nspawn"].map(|path| root.join(path));
        let (all, unusable) = of_paths(&paths, 257);
        assert_eq!(shown(&all, &root), expected[4..5]);
        let unusable: Vec<String> = unusable.iter().map(ToString::to_string).collect();
        assert!(unusable[0].ends_with("none: does not exist"), "{unusable:?}");
        assert!(unusable[1].contains("a/readme: is of no kind that 'verify' knows"), "{unusable:?}");
    }

    #[test]
    fn files_of_a_host() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        assert_eq!((host_version(&root), of_host(&root, 257).len()), (NEWEST, 0));
        fs::create_dir_all(root.join("etc/nixos-nspawn")).unwrap();
        fs::create_dir_all(root.join("etc/systemd/nspawn")).unwrap();
        fs::write(root.join("etc/nixos-nspawn/host.json"), r#"{"version": 1, "systemd": 258}"#).unwrap();
        fs::write(root.join("etc/nixos-nspawn/web.json"), "{\n\"version\": 2}").unwrap();
        fs::create_dir_all(root.join("run/systemd/nspawn/locks")).unwrap();
        fs::write(root.join("run/systemd/nspawn/locks/a.nspawn"), "").unwrap();
        fs::write(root.join("etc/nixos-nspawn.conf"), "[Nix]\nCommnd=nix\n").unwrap();
        fs::write(root.join("etc/other.nspawn"), "[Network]\nNamespacePath=/a\n").unwrap();
        symlink("/etc/other.nspawn", root.join("etc/systemd/nspawn/db.nspawn")).unwrap();
        let expected = [
            "etc/systemd/nspawn/db.nspawn:2: [Network] NamespacePath=: is known since version 259 only, ignored",
            "etc/nixos-nspawn.conf:2: [Nix] Commnd=: is not known; did you mean 'Command'?",
            "etc/nixos-nspawn/web.json:2: field 'version': 2 is not known, this nixos-nspawn knows version 1",
        ];
        let all = of_host(&root, host_version(&root));
        assert_eq!(shown(&all, &root), expected);
        assert_eq!(all.len(), 4, "{all:?}");
    }

    #[test]
    fn a_link_out_of_a_tree_is_told() {
        let (tree, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let root = tree.path().canonicalize().unwrap();
        fs::write(outside.path().join("o.nspawn"), "[Exec]\nBot=1\n").unwrap();
        fs::create_dir_all(root.join("etc/systemd")).unwrap();
        symlink(outside.path(), root.join("etc/systemd/nspawn")).unwrap();
        let expected = ["etc/systemd/nspawn:0: is a link that leads out of the tree, not checked"];
        assert_eq!(shown(&of_host(&root, 262), &root), expected);
        // One that leads to a place that exists only in the tree.
        fs::remove_file(root.join("etc/systemd/nspawn")).unwrap();
        symlink("/static/nspawn", root.join("etc/systemd/nspawn")).unwrap();
        assert_eq!(shown(&of_host(&root, 262), &root), expected);
    }
}
