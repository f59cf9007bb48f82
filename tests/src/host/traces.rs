//! Finds what containers leave on a host: lists the paths below every directory in which our programs, systemd and
//! nspawn keep files of containers. Comparing the lists from before and after shows whether anything is left.

use super::Host;
use std::collections::BTreeSet;

/// Where to look.
const PLACES: &[&str] = &[
    "/etc/nixos-nspawn",
    "/etc/systemd",
    "/nix/var/nix/gcroots",
    "/nix/var/nix/profiles",
    "/run/systemd/generator",
    "/run/systemd/generator.early",
    "/run/systemd/generator.late",
    "/run/systemd/network",
    "/run/systemd/nspawn",
    "/run/systemd/system",
    "/run/systemd/transient",
    "/var/lib/machines",
    "/var/log/journal",
];

/// The paths that all containers share, and those that Nix creates at its first use: created once and kept.
const SHARED: &[&str] = &[
    "/etc/nixos-nspawn",
    "/etc/nixos-nspawn/declarative.d",
    "/etc/systemd/system/machines.target.wants",
    "/nix/var/nix/gcroots/nixos-nspawn",
    "/nix/var/nix/gcroots/auto",
    "/nix/var/nix/gcroots/per-user",
    "/nix/var/nix/gcroots/profiles",
    "/nix/var/nix/profiles/per-user",
    "/nix/var/nix/profiles/per-user/root",
    "/nix/var/nix/profiles/per-nspawn",
    "/run/systemd/generator/machines.target.wants",
    "/run/systemd/generator/multi-user.target.wants",
    "/run/systemd/generator/nixos-nspawn",
    "/run/systemd/generator/nixos-nspawn/writable",
];

impl Host {
    /// Returns the paths of everything that may belong to containers. Omits the shared directories, the record of the
    /// host's systemd version, the host's own journal, and nspawn's directories in /run, which nspawn never removes.
    pub fn traces(&self) -> BTreeSet<String> {
        let mut find = vec!["find"];
        find.extend(PLACES);
        find.extend(["-printf", "%y%p\\n"]);
        // Exit status 1 is for places that do not exist.
        let found = self.run(&find).stdout;
        let journal = format!("/var/log/journal/{}", self.file("/etc/machine-id").trim());
        found
            .lines()
            .map(|line| line.split_at(1))
            .filter(|(kind, path)| {
                let folder = *kind == "d";
                let shared = (folder && PLACES.contains(path)) || SHARED.contains(path);
                let of_nspawn = path.starts_with("/run/systemd/nspawn/")
                    && (folder
                        || path.contains("/unix-export")
                        || path.contains("/locks/")
                        || path.contains("/propagate"));
                !(shared || of_nspawn || path.starts_with(&journal) || *path == "/etc/nixos-nspawn/host.json")
            })
            .map(|(_, path)| path.to_owned())
            .collect()
    }

    /// Panics if there is a trace that was not there `before`, or if one of those is gone.
    pub fn assert_no_traces_since(&self, before: &BTreeSet<String>) {
        let now = self.traces();
        let new: Vec<_> = now.difference(before).collect();
        let gone: Vec<_> = before.difference(&now).collect();
        assert!(new.is_empty() && gone.is_empty(), "left behind: {new:#?}\ntaken along: {gone:#?}");
    }
}
