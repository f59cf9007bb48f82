//! A look at the headers of an archive alone: what a reader would hold in memory is small, and nothing is of a kind that
//! we do not write, such as sparse files, which can be larger than the archive.

use std::fs::File;
use std::io::{Seek, SeekFrom};

use anyhow::Result;
use tar::{Archive, EntryType};

use super::{FIRST, PART};
use crate::base::interrupt;

/// The largest record of names and extended attributes: a file can have 64 KiB of these, which base64 makes a third
/// longer.
const LARGEST_RECORD: u64 = 256 << 10;

/// Checks the headers. Returns why the file is no archive of ours, if so.
pub(super) fn check(file: &File) -> Result<Option<String>> {
    let mut reader = file;
    reader.seek(SeekFrom::Start(0))?;
    let mut archive = Archive::new(reader);
    for (number, entry) in archive.entries_with_seek()?.raw(true).enumerate() {
        interrupt::check()?;
        let entry = match entry {
            Ok(entry) => entry,
            Err(_) if number == 0 => return Ok(Some("is not an archive of nixos-nspawn".to_owned())),
            Err(error) => return Ok(Some(format!("is damaged or cut: {error}"))),
        };
        let header = entry.header();
        let size = header.entry_size()?;
        if number == 0 {
            if header.path_bytes().as_ref() != FIRST.as_bytes() || header.entry_type() != EntryType::Regular {
                return Ok(Some("is not an archive of nixos-nspawn".to_owned()));
            }
            if size > PART as u64 {
                return Ok(Some("has a description that is too large".to_owned()));
            }
        }
        let most = match header.entry_type() {
            EntryType::Regular => u64::MAX,
            EntryType::XHeader | EntryType::GNULongName | EntryType::GNULongLink => LARGEST_RECORD,
            EntryType::Directory
            | EntryType::Link
            | EntryType::Symlink
            | EntryType::Fifo
            | EntryType::Char => 0,
            other => return Ok(Some(format!("has an entry of the unknown type {other:?}"))),
        };
        if size > most {
            return Ok(Some(format!("has an entry of type {:?} with {size} bytes", header.entry_type())));
        }
    }
    Ok(None)
}
