//! Reads the store of a container's root, and copies closures from it into the host's. Root in the container controls all of
//! it, and Nix writes where the state of a store is: it gets a copy of the database in a directory of ours.

use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::value::StorePath;
use rustix::io::Errno;

use crate::base::exit::{Failed, unchanged};
use crate::base::program::Program;
use crate::host::files::open_directory;
use crate::host::foreign_root;
use crate::host::remove_tree::remove_tree;
use crate::nix::tool::Nix;

/// The files of a database: its schema's number, and what has not been written back.
const FILES: [&str; 3] = ["db.sqlite", "db.sqlite-wal", "schema"];

/// The store of a root whose container is stopped.
pub(crate) struct RootStore<'a> {
    nix: &'a Nix<'a>,
    root: PathBuf,
    /// The name of the directory with the copy of the database, beside the roots.
    copy: OsString,
}

impl Nix<'_> {
    /// Returns whether a path is valid in the host's store. A store that cannot be asked is an error.
    pub(crate) fn is_valid(&self, path: &StorePath) -> Result<bool> {
        let call = self.host.program(self.tool("nix-store"));
        match call.args(["--query", "--hash", path.as_str()]).output() {
            Ok(_) => Ok(true),
            Err(error) if format!("{error:#}").contains("is not valid") => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl<'a> RootStore<'a> {
    /// Opens the store of a root.
    pub(crate) fn open(nix: &'a Nix<'a>, name: &MachineName, root: &Path) -> Result<Self> {
        let directory = foreign_root::open(root)?;
        for path in ["nix/store", "nix/store/.links"] {
            match foreign_root::plain(&directory, path) {
                Ok(_) | Err(Errno::NOENT) => {}
                Err(error) => {
                    let path = root.join(path);
                    return unchanged(format!("{}: is not a plain directory: {error}", path.display()), "");
                }
            }
        }
        // systemd-tmpfiles removes `.#*` at boot.
        let copy = OsString::from(format!(".#{name}.store"));
        let store = Self { nix, root: root.to_owned(), copy };
        store.remove()?;
        let state = store.state();
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state.join("db"))
            .with_context(|| state.display().to_string())?;
        for name in FILES {
            let path = format!("nix/var/nix/db/{name}");
            let cannot = || format!("{}: cannot be read", root.join(&path).display());
            let Some(mut from) = foreign_root::file(&directory, &path).with_context(cannot)? else {
                continue;
            };
            let to = state.join("db").join(name);
            let mut to = File::create_new(&to).with_context(|| to.display().to_string())?;
            io::copy(&mut from, &mut to).with_context(cannot)?;
        }
        Ok(store)
    }

    /// Returns the paths that a path needs, itself included, as the database says.
    pub(crate) fn closure(&self, path: &StorePath) -> Result<Vec<String>> {
        let call = self.call("path-info").args(["--recursive", "--store", &self.url(), path.as_str()]);
        let listed = call.output().map_err(|error| {
            Failed::unchanged(
                format!("{}: its Nix database does not prove {path}: {error:#}", self.root.display()),
                "",
            )
        })?;
        Ok(listed.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
    }

    /// Copies a closure into the host's store. Without `unsigned`, each path needs a signature that the host trusts.
    pub(crate) fn copy(&self, path: &StorePath, unsigned: bool) -> Result<()> {
        let call = self.call("copy").args(["--from", &self.url()]);
        let call = call.args(unsigned.then_some("--no-check-sigs")).arg(path.as_str());
        call.output().map(drop).map_err(|error| {
            let text = format!("{error:#}");
            let remedy = match text.contains("signature") {
                true => "--allow-unsigned trusts what root in the container has put there",
                false => "",
            };
            let root = self.root.display();
            Failed::unchanged(format!("{root}: its system cannot be copied to the host: {text}"), remedy)
                .into()
        })
    }

    fn call(&self, command: &str) -> Program<'_> {
        // With a group for builds, Nix would change the owner of the store.
        self.nix.call(command).args(["--option", "build-users-group", ""])
    }

    /// Returns the store as Nix names it.
    fn url(&self) -> String {
        let (root, state) = (self.root.display(), self.state());
        let state = state.display();
        format!("local?store=/nix/store&real={root}/nix/store&state={state}&log={state}/log")
            .replace('#', "%23")
    }

    fn state(&self) -> PathBuf {
        self.nix.host.machines().join(&self.copy)
    }

    fn remove(&self) -> Result<()> {
        let machines = self.nix.host.machines();
        let parent = open_directory(&machines).with_context(|| machines.display().to_string())?;
        remove_tree(&parent, OsStr::new(&self.copy)).with_context(|| self.state().display().to_string())
    }
}

impl Drop for RootStore<'_> {
    fn drop(&mut self) {
        // What is left is removed by the next import, or at boot.
        let _ = self.remove();
    }
}
