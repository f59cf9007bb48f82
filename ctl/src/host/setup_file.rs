//! Files that `setup` writes where administrators have files too. The first line tells them apart.

use std::fs;
use std::hash::Hasher as _;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use siphasher::sip128::{Hasher128 as _, SipHasher24};

use crate::base::exit::unchanged;
use crate::host::files::read_small;

/// The beginning of the first line of a file that `setup` wrote. The hash of the other lines follows, so that a file which
/// an administrator has changed is not taken for ours.
const MARK: &str = "# Written by 'nixos-nspawn setup', unless it was changed: ";

/// Who has written a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// There is no file.
    Nobody,
    /// `setup`, and nobody has changed it since.
    Setup,
    /// Somebody else.
    Others,
}

/// Returns who has written a file. Fails if it cannot be read, since it may be anybody's.
pub(crate) fn owner(path: &Path) -> Result<Owner> {
    match fs::symlink_metadata(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Owner::Nobody);
        }
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
        Ok(found) if !found.is_file() => return Ok(Owner::Others),
        Ok(_) => {}
    }
    let bytes = read_small(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let ours = text.split_once('\n').is_some_and(|(_, rest)| *text == marked(rest));
    Ok(if ours { Owner::Setup } else { Owner::Others })
}

/// Returns a text with our mark.
pub(crate) fn marked(text: &str) -> String {
    let mut hasher = SipHasher24::new();
    hasher.write(text.as_bytes());
    format!("{MARK}{:032x}\n{text}", hasher.finish128().as_u128())
}

/// Refuses to write where somebody else has written.
pub(crate) fn refuse_others(path: &Path, remedy: &str) -> Result<()> {
    if owner(path)? != Owner::Others {
        return Ok(());
    }
    let why = format!("{}: was not written by 'nixos-nspawn setup', or was changed since", path.display());
    unchanged(why, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("unit");
        assert_eq!(owner(&path).unwrap(), Owner::Nobody);
        let ours = marked("[Timer]\nOnCalendar=daily\n");
        for (text, expected) in [
            (ours.clone().into_bytes(), Owner::Setup),
            ((ours.clone() + "Persistent=yes\n").into_bytes(), Owner::Others),
            (ours.replace("daily", "weekly").into_bytes(), Owner::Others),
            // A package's file, as 'systemctl edit --full' copies it.
            (b"[Timer]\nOnCalendar=daily\n".to_vec(), Owner::Others),
            (b"# K\xf6ln\n".to_vec(), Owner::Others),
            (Vec::new(), Owner::Others),
        ] {
            fs::write(&path, &text).unwrap();
            assert_eq!(owner(&path).unwrap(), expected, "{}", String::from_utf8_lossy(&text));
        }
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/null", &path).unwrap();
        assert_eq!(owner(&path).unwrap(), Owner::Others, "a mask is the administrator's");
    }
}
