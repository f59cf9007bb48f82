//! The owner of a local flake. Git and Nix read a checkout only for its owner, or for root if the owner called
//! sudo. Other calls by root read a checkout only if the administrator has named its flake, and refuse it if its
//! owner has changed since.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::base::exit::unchanged;
use crate::nix::local_path::local_path;

/// A local flake's directory and owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkout {
    /// The top of the Git checkout, or the directory of the flake if it is in none.
    pub(crate) top: PathBuf,
    /// The owner's user ID.
    pub(crate) owner: u32,
    /// Whether it is a Git checkout.
    pub(crate) git: bool,
}

impl Checkout {
    /// Returns the checkout of a reference, searched upwards from the flake's directory, or `None` if the
    /// reference is not a local path.
    pub(crate) fn of(reference: &str) -> Option<Self> {
        let path = local_path(reference)?;
        let owner = |path: &Path| Some(fs::metadata(path).ok()?.uid());
        let above = if reference.starts_with("path:") { 0 } else { usize::MAX };
        match path.ancestors().take(above).find(|folder| folder.join(".git").exists()) {
            Some(top) => Some(Self { top: top.to_owned(), owner: owner(&top.join(".git"))?, git: true }),
            None => Some(Self { top: path.to_owned(), owner: owner(path)?, git: false }),
        }
    }

    /// Returns whether the checkout belongs to a user other than that of this process.
    pub(crate) fn foreign(&self) -> bool {
        self.owner != rustix::process::geteuid().as_raw()
    }

    /// Refuses a Git checkout unless its owner is the user of this process, the caller of sudo, or the accepted
    /// user.
    pub(crate) fn check(&self, accepted: Option<u32>) -> Result<()> {
        let caller = std::env::var("SUDO_UID").ok().and_then(|id| id.parse::<u32>().ok());
        if !self.git || !self.foreign() || [accepted, caller].contains(&Some(self.owner)) {
            return Ok(());
        }
        unchanged(self.belongs(accepted), "--flake with the same reference accepts that user")
    }

    /// Returns why root does not read the checkout unless its owner has called sudo, if so.
    pub(crate) fn fault(&self, accepted: Option<u32>) -> Option<String> {
        let trusted = self.owner == 0 || accepted == Some(self.owner);
        (self.git && !trusted).then(|| self.belongs(accepted))
    }

    fn belongs(&self, accepted: Option<u32>) -> String {
        let before = match accepted {
            Some(before) => format!(", but belonged to user {before} when it was recorded"),
            None => String::new(),
        };
        format!("{}: belongs to user {}{before}", self.top.display(), self.owner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkout_is_searched_upwards() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().canonicalize().unwrap();
        fs::create_dir_all(at.join("infra/.git")).unwrap();
        fs::create_dir_all(at.join("infra/hosts/one")).unwrap();
        let own = rustix::process::geteuid().as_raw();
        let below = at.join("infra/hosts/one").display().to_string();
        for reference in [below.clone(), format!("git+file://{below}?ref=main")] {
            let found = Checkout::of(&reference).unwrap();
            assert_eq!(found, Checkout { top: at.join("infra"), owner: own, git: true }, "{reference}");
            assert!(!found.foreign() && found.check(None).is_ok());
        }
        // Nix does not search for a checkout if the reference is a path: URL.
        assert!(!Checkout::of(&format!("path:{below}")).unwrap().git);
        assert_eq!(Checkout::of("github:me/infra"), None);
    }

    #[test]
    fn only_the_accepted_owner() {
        let foreign = rustix::process::geteuid().as_raw() + 4711;
        let checkout = Checkout { top: "/srv/infra".into(), owner: foreign, git: true };
        assert!(checkout.check(Some(foreign)).is_ok());
        let message = |accepted| checkout.check(accepted).unwrap_err().to_string();
        let end = "nothing was changed; --flake with the same reference accepts that user";
        assert_eq!(message(None), format!("/srv/infra: belongs to user {foreign}, {end}"));
        assert_eq!(
            message(Some(foreign + 1)),
            format!(
                "/srv/infra: belongs to user {foreign}, but belonged to user {} when it was recorded, {end}",
                foreign + 1
            )
        );
        assert_eq!(checkout.fault(None).as_deref(), Some(&*format!("/srv/infra: belongs to user {foreign}")));
        assert_eq!(checkout.fault(Some(foreign)), None);
        assert!(Checkout { git: false, ..checkout }.check(None).is_ok());
    }
}
