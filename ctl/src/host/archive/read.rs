//! Reads an archive from its beginning to its end, and compares it with the hash at its end. What it contains goes to a
//! [`Taker`], which does nothing to check an archive.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use anyhow::{Result, anyhow};
use nixos_nspawn_units::intent::MAX_SIZE;
use tar::{Archive, Entry, EntryType};

use super::attributes::Attributes;
use super::names::in_state;
use super::sum::{Sum, Summed};
use super::{CLOSURE, Description, End, FIRST, LAST, PART, VERSION, frame};
use crate::base::exit::refuse;
use crate::base::interrupt;

/// Gets what an archive contains.
pub(crate) trait Taker {
    /// Gets a part of the closure.
    fn closure(&mut self, part: &mut dyn Read) -> Result<()>;

    /// Gets an entry of the state; the state itself has an empty path.
    fn state(&mut self, path: &[u8], what: What, attributes: &TakenAttributes) -> Result<()>;
}

/// The attributes of an entry.
pub(crate) struct TakenAttributes(pub(super) Attributes);

/// An entry of the state.
pub(crate) enum What<'a> {
    /// A directory.
    Directory,
    /// A regular file of this size.
    File(u64, &'a mut dyn Read),
    /// A symbolic link with this target.
    Symlink(&'a [u8]),
    /// Another name of the file with this path.
    Link(&'a [u8]),
    /// A FIFO.
    Fifo,
    /// A whiteout of an overlay.
    Whiteout,
}

/// The sizes of what an archive contains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// The bytes of the closure.
    pub(crate) closure: u64,
    /// The bytes of files in the state.
    pub(crate) state: u64,
    /// The number of files, directories and others in the state.
    pub(crate) entries: u64,
}

impl Taker for Sizes {
    fn closure(&mut self, part: &mut dyn Read) -> Result<()> {
        self.closure += std::io::copy(part, &mut std::io::sink())?;
        Ok(())
    }

    fn state(&mut self, _: &[u8], what: What, _: &TakenAttributes) -> Result<()> {
        self.entries += 1;
        if let What::File(_, contents) = what {
            self.state += std::io::copy(contents, &mut std::io::sink())?;
        }
        Ok(())
    }
}

/// Checks an archive completely. Returns its description and the sizes of its contents.
pub(crate) fn check(file: &File, progress: &dyn Fn(u64)) -> Result<(Description, Sizes)> {
    if let Some(why) = frame::check(file)? {
        return refuse(why);
    }
    let mut sizes = Sizes::default();
    let description = read(file, &mut sizes, progress)?;
    Ok((description, sizes))
}

/// Reads an archive that was checked.
pub(crate) fn read(file: &File, taker: &mut dyn Taker, progress: &dyn Fn(u64)) -> Result<Description> {
    let mut reader = file;
    reader.seek(SeekFrom::Start(0))?;
    let sum = Sum::default();
    let mut archive = Archive::new(Summed { inner: reader, sum: sum.clone() });
    let mut description = None;
    let mut seen = Seen::default();
    let mut ended = false;
    for entry in archive.entries()? {
        interrupt::check()?;
        progress(sum.total());
        let mut entry = entry.map_err(|error| anyhow!("is damaged or cut: {error}"))?;
        let name = entry.path_bytes().into_owned();
        let shown = String::from_utf8_lossy(&name).into_owned();
        if ended {
            return refuse(format!("has '{shown}' behind its end"));
        }
        if name == LAST.as_bytes() {
            let end = End { sha256: sum.before_header(), entries: seen.entries };
            let text = small(&mut entry)?;
            if serde_json::from_slice::<End>(&text).ok() != Some(end) {
                return refuse("is damaged: its checksum is another one");
            }
            ended = true;
            continue;
        }
        match &description {
            None if name == FIRST.as_bytes() => description = Some(described(&small(&mut entry)?)?),
            None => return refuse("is not an archive of nixos-nspawn"),
            Some(_) => {
                seen.take(&name, &mut entry, taker).map_err(|error| error.context(format!("'{shown}'")))?
            }
        }
        seen.entries += 1;
    }
    match description {
        Some(description) if ended => Ok(description),
        _ => refuse("is cut: its end is missing"),
    }
}

/// What was seen so far.
#[derive(Default)]
struct Seen {
    entries: u64,
    parts: u64,
    state: bool,
}

impl Seen {
    fn take<R: Read>(&mut self, name: &[u8], entry: &mut Entry<R>, taker: &mut dyn Taker) -> Result<()> {
        let size = entry.size();
        if let Some(number) = name.strip_prefix(CLOSURE.as_bytes()) {
            let expected = format!("/{:08}", self.parts);
            if self.state || number != expected.as_bytes() || !entry.header().entry_type().is_file() {
                return refuse("is a part of the closure in the wrong place");
            }
            if size > PART as u64 {
                return refuse("is too large");
            }
            self.parts += 1;
            return taker.closure(entry);
        }
        let Some(path) = in_state(name) else {
            return refuse("is not a path that an archive can have");
        };
        // The state itself comes first, so that all else is in it.
        if path.is_empty() == self.state || path.is_empty() && !entry.header().entry_type().is_dir() {
            return refuse("is in the wrong place");
        }
        self.state = true;
        let attributes = TakenAttributes(attributes(entry)?);
        let target = entry.link_name_bytes().map(std::borrow::Cow::into_owned).unwrap_or_default();
        let what = match entry.header().entry_type() {
            EntryType::Regular => What::File(size, entry),
            EntryType::Directory => What::Directory,
            EntryType::Symlink if !target.is_empty() && !target.contains(&0) => What::Symlink(&target),
            EntryType::Link => match in_state(&target) {
                Some(first) if !first.is_empty() => What::Link(first),
                _ => return refuse("is a link to a path outside"),
            },
            EntryType::Fifo => What::Fifo,
            EntryType::Char if device(entry) == Some((0, 0)) => What::Whiteout,
            EntryType::Char => return refuse("is a device node"),
            _ => return refuse("is of an unknown type"),
        };
        taker.state(path, what, &attributes)
    }
}

fn device<R: Read>(entry: &Entry<R>) -> Option<(u32, u32)> {
    let header = entry.header();
    Some((header.device_major().ok()??, header.device_minor().ok()??))
}

fn attributes<R: Read>(entry: &mut Entry<R>) -> Result<Attributes> {
    let header = entry.header();
    let id = |id: u64| u32::try_from(id).map_err(|_| anyhow!("belongs to a user that cannot exist"));
    let mut attributes = Attributes {
        mode: header.mode()? & 0o7777,
        owner: (id(header.uid()?)?, id(header.gid()?)?),
        time: (i64::try_from(header.mtime()?).unwrap_or(0), 0),
        extended: Vec::new(),
    };
    for record in entry.pax_extensions()?.into_iter().flatten() {
        let record = record?;
        if !attributes.take(record.key()?, record.value_bytes()) {
            return refuse(format!("has an unknown record '{}'", record.key()?));
        }
    }
    Ok(attributes)
}

/// Reads a small entry of ours.
fn small<R: Read>(entry: &mut Entry<R>) -> Result<Vec<u8>> {
    let most = MAX_SIZE as u64 * 2;
    let mut text = Vec::new();
    if entry.size() > most {
        return refuse("has a description that is too large");
    }
    entry.take(most).read_to_end(&mut text)?;
    Ok(text)
}

/// Parses the description. A newer version may have more, or give it another meaning.
fn described(text: &[u8]) -> Result<Description> {
    let version =
        serde_json::from_slice::<serde_json::Value>(text).ok().and_then(|all| all["version"].as_u64());
    match version {
        Some(version) if version > VERSION.into() => {
            return refuse(format!(
                "is of version {version}, which this nixos-nspawn does not know; update it"
            ));
        }
        Some(_) => {}
        None => return refuse("is not an archive of nixos-nspawn"),
    }
    serde_json::from_slice(text)
        .or_else(|error| refuse(format!("has a description that cannot be read: {error}")))
}
