//! Generations of profiles, which Nix makes and deletes.

use std::path::Path;

use anyhow::Result;
use nixos_nspawn_units::value::StorePath;

use crate::base::program::Program;
use crate::host::profile_links::generation;
use crate::nix::tool::Nix;

impl Nix<'_> {
    /// Makes an existing generation the current one of a profile.
    pub(crate) fn switch_generation(&self, profile: &Path, number: u64) -> Result<()> {
        self.on_profile(profile).args(["--switch-generation", &number.to_string()]).output().map(|_| ())
    }

    /// Adds `path` to a profile as its newest generation, and returns its number.
    pub(crate) fn set_profile(&self, profile: &Path, path: &StorePath) -> Result<u64> {
        self.on_profile(profile).args(["--set", path.as_str()]).output()?;
        generation(&self.host.path(profile))
    }

    /// Deletes generations of a profile; Nix refuses to delete the current one.
    pub(crate) fn delete_generations(&self, profile: &Path, numbers: &[u64]) -> Result<()> {
        let numbers = numbers.iter().map(u64::to_string);
        self.on_profile(profile).arg("--delete-generations").args(numbers).output().map(|_| ())
    }

    fn on_profile(&self, profile: &Path) -> Program<'_> {
        self.host.program(self.tool("nix-env")).arg("--profile").arg(profile)
    }
}
