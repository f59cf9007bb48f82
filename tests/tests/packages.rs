//! The packages of Fedora and Arch: their versions, and that they install what `make install` does. `make rpm-check` and
//! `make arch-check` build them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use pretty_assertions::assert_eq;
use tempfile::TempDir;

const SPEC: &str = "packaging/rpm/nixos-nspawn.spec";
const PKGBUILD: &str = "packaging/arch/PKGBUILD";
const VERSION: &str = env!("CARGO_PKG_VERSION");

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

fn text(file: &str) -> String {
    fs::read_to_string(repository().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
}

/// A directory with programs that answer as those of `make build` do, and with the tree below the name of an archive's.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new(helper: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let place = Self { directory };
        fs::create_dir(place.path("built")).expect("new");
        let answers = [("ctl", "completions"), ("generator", &*format!("unit-helper {helper}"))];
        for (program, answer) in answers {
            let file = place.path(&format!("built/nixos-nspawn-{program}"));
            fs::write(&file, format!("#!/bin/sh\necho '{answer}'\n")).expect("written");
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).expect("set");
        }
        symlink(repository(), place.path(&format!("nixos-nspawn-{VERSION}"))).expect("linked");
        place
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// Runs a script of bash in the directory. The programs are BUILT.
    fn run(&self, script: &str) {
        let mut bash = Command::new("bash");
        let bash = bash.args(["-euc", script]).current_dir(&self.directory).env("BUILT", self.path("built"));
        let output = bash.env_remove("MAKEFLAGS").output().expect("bash runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}: {said}");
    }

    /// Returns the paths of files and links below a directory.
    fn files(&self, top: &str) -> BTreeSet<String> {
        let top = self.path(top);
        let entries = walkdir::WalkDir::new(&top).into_iter().map(|entry| entry.expect("readable"));
        let files = entries.filter(|entry| !entry.file_type().is_dir());
        files.map(|entry| format!("/{}", entry.path().strip_prefix(&top).expect("below").display())).collect()
    }

    /// Returns what `make install` installs for a distribution, without the licence.
    fn installed(&self, helper: &str) -> BTreeSet<String> {
        self.run(&format!(
            "make -C nixos-nspawn-{VERSION} install PREFIX=/usr HELPER={helper} DESTDIR=\"$PWD/made\" \
             ZSH=/usr/share/zsh/site-functions"
        ));
        let mut files = self.files("made");
        assert!(files.remove("/usr/share/doc/nixos-nspawn/LICENSE"));
        assert!(files.len() > 50, "{files:?}");
        files
    }
}

/// Returns a section of the spec file, with its macros replaced.
fn section(name: &str, destination: &Path) -> String {
    let spec = text(SPEC);
    let (_, rest) = spec.split_once(&format!("\n%{name}\n")).expect("the section");
    let (section, _) = rest.split_once("\n\n%").expect("another section");
    let macros = [
        ("%{buildroot}", destination.to_str().expect("UTF-8")),
        ("%{_prefix}", "/usr"),
        ("%{_datadir}", "/usr/share"),
        ("%{_docdir}", "/usr/share/doc"),
        ("%{_mandir}", "/usr/share/man"),
        ("%{_sysconfdir}", "/etc"),
        ("%{name}", "nixos-nspawn"),
        ("%%", "%"),
    ];
    macros.iter().fold(section.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[test]
fn versions_agree() {
    let spec = text(SPEC);
    assert!(spec.lines().any(|line| line.split_whitespace().eq(["Version:", VERSION])), "{SPEC}");
    let (_, changes) = spec.split_once("\n%changelog\n").expect("a changelog");
    let newest = changes.lines().next().unwrap_or_default();
    assert!(newest.ends_with(&format!(" - {VERSION}-1")), "{SPEC}: {newest}");
    assert!(text(PKGBUILD).lines().any(|line| line == format!("pkgver={VERSION}")), "{PKGBUILD}");
}

#[test]
fn spec_file_lists_what_is_installed() {
    let helper = "/usr/libexec/nixos-nspawn/unit-helper";
    let place = Place::new(helper);
    let script = section("install", &place.path("root"));
    assert!(!script.contains("%{"), "{script}");
    // The tree must not get the list of files.
    place.run(&format!(
        "make() {{ command make -C nixos-nspawn-{VERSION} \"$@\"; }}\nfiles=$PWD/files\n{}",
        script.replace(") > files", ") > \"$files\"")
    ));
    let installed = place.installed(helper);
    assert_eq!(place.files("root"), installed);
    let list = fs::read_to_string(place.path("files")).expect("the list");
    let (directories, listed): (Vec<&str>, Vec<&str>) =
        list.lines().partition(|line| line.starts_with("%dir "));
    let listed: BTreeSet<String> = listed.iter().map(|line| line.trim_end_matches('*').to_owned()).collect();
    assert_eq!(listed, installed);
    // Every directory that only this package needs goes with it.
    for file in installed.iter().filter(|file| file.contains("/nixos-nspawn/")) {
        let parent = Path::new(file).parent().expect("a directory").display();
        assert!(directories.contains(&&*format!("%dir {parent}")), "{parent}: {directories:?}");
    }
}

#[test]
fn pkgbuild_packs_what_is_installed() {
    let helper = "/usr/lib/nixos-nspawn/unit-helper";
    let place = Place::new(helper);
    let build = repository().join(PKGBUILD);
    place.run(&format!("source {}\npkgdir=$PWD/root\npackage", build.display()));
    let mut expected = place.installed(helper);
    expected.insert("/usr/share/licenses/nixos-nspawn/LICENSE".to_owned());
    assert_eq!(place.files("root"), expected);
}

/// Somebody who removes the package reads the same on each distribution.
#[test]
fn removals_say_the_same() {
    let said = |file: &str| -> Vec<String> {
        let text = text(file);
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with("echo \""));
        lines.map(str::to_owned).collect()
    };
    let debian = said("debian/nixos-nspawn.prerm");
    assert_eq!(debian.len(), 2);
    assert_eq!(said(SPEC), debian);
    assert_eq!(said("packaging/arch/nixos-nspawn.install"), debian);
}
