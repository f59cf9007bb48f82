//! `pin` and `unpin`: a link from Nix's garbage collector roots to the profile of a generation. While it is there,
//! neither `delete-generations` nor the host's own `nix-collect-garbage -d` takes the generation away. Doing either
//! twice is no failure.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use nixos_nspawn_units::copies::GC_ROOTS;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::write::link;
use rustix::fs::{CWD, Mode, OFlags, fsync, openat};
use serde::Serialize;

use crate::base::context::Context;
use crate::base::exit::refuse;
use crate::change::settle::{lock_settled, repair};
use crate::cli::Pin;
use crate::fact::generations::generations;
use crate::fact::lookup::{imperative, machine_name, numbered};
use crate::host::files::remove_file;
use crate::host::gc_roots::pin_link;
use crate::host::lock::Lock;

/// `pin`.
pub(crate) fn pin(context: &Context, arguments: &Pin) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    let number = arguments.generation;
    let _lock = begin(context, "pin", &name)?;
    let loaded = context.load();
    let all = generations(context, &name, imperative(&loaded, &name)?);
    let generation = numbered(&all, &name, number)?;
    let (path, at) = (&generation.path, pin_link(context, &name, number));
    let gone = || {
        format!(
            "generation {number} of container '{name}': {path} is gone from the store, nothing was pinned"
        )
    };
    if generation.toplevel.is_none() {
        return refuse(gone());
    }
    if generation.pinned && fs::read_link(&at).is_ok_and(|target| target == Path::new(path.as_str())) {
        return say(context, &name, (number, true), false, "is pinned already");
    }
    let roots = context.path(Path::new("/").join(GC_ROOTS));
    let cannot = || format!("{}: cannot be linked, nothing was pinned", at.display());
    fs::create_dir_all(&roots).with_context(cannot)?;
    let folder =
        openat(CWD, &roots, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).with_context(cannot)?;
    let file = at.file_name().unwrap_or_default().to_string_lossy();
    link(&folder, &file, path.as_str()).with_context(cannot)?;
    fsync(&folder).with_context(cannot)?;
    // A collector that was at work may not have seen the link.
    if fs::symlink_metadata(context.path(path.as_str())).is_err() {
        remove_file(&at)?;
        return refuse(gone());
    }
    say(context, &name, (number, true), true, "is pinned")
}

/// `unpin`.
pub(crate) fn unpin(context: &Context, arguments: &Pin) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    let number = arguments.generation;
    let _lock = begin(context, "unpin", &name)?;
    let loaded = context.load();
    let all = generations(context, &name, imperative(&loaded, &name)?);
    // A number that the profile no longer has may have been unpinned before.
    let Some(generation) = all.iter().find(|one| one.number == number && one.pinned) else {
        return say(context, &name, (number, false), false, "is not pinned");
    };
    remove_file(&pin_link(context, &name, number))?;
    let how = match generation.made {
        Some(_) => "is not pinned any more",
        None => "is not pinned any more, and nothing else keeps it",
    };
    say(context, &name, (number, false), true, how)
}

/// What was done, as scripts see it.
#[derive(Debug, Serialize)]
struct Pinned<'a> {
    name: &'a MachineName,
    generation: u64,
    /// Whether it is pinned now.
    pinned: bool,
    /// Whether it was otherwise before.
    changed: bool,
}

fn say(
    context: &Context,
    name: &MachineName,
    (generation, pinned): (u64, bool),
    changed: bool,
    how: &str,
) -> Result<()> {
    context.answer(&Pinned { name, generation, pinned, changed }, |_| {
        format!("generation {generation} of container '{name}' {how}\n")
    })
}

fn begin(context: &Context, command: &str, name: &MachineName) -> Result<Lock> {
    context.need_live(command)?;
    context.need_root(command)?;
    repair(context);
    lock_settled(context, name)
}
