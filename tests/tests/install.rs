//! `make install` and `make uninstall`, and the programs that they install.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nixos_nspawn_tests::host::bins;
use pretty_assertions::assert_eq;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository")
}

/// Runs make with the programs of `make build`, after `before`, a command that executes its arguments.
fn make(before: &[&str], words: &[&str]) -> Output {
    let built = bins().ctl.parent().expect("a directory").canonicalize().expect("it is there");
    let built = format!("BUILT={}", built.display());
    let words = [before, &["make", "--silent", "--no-print-directory", &built], words].concat();
    Command::new(words[0]).args(&words[1..]).current_dir(repository()).output().expect("it runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Returns the paths of files and links below a directory.
fn files(top: &Path) -> BTreeSet<String> {
    let entries = walkdir::WalkDir::new(top).into_iter().map(|entry| entry.expect("readable"));
    let files = entries.filter(|entry| !entry.file_type().is_dir());
    files.map(|entry| entry.path().strip_prefix(top).expect("below").to_string_lossy().into_owned()).collect()
}

#[test]
fn everything_is_installed_and_uninstalled() {
    let place = tempfile::tempdir().expect("a directory");
    let destination = format!("DESTDIR={}", place.path().display());
    let installed = make(&[], &["install", &destination]);
    assert!(installed.status.success(), "{}", said(&installed));
    let files_of = |folder: &str| files(&place.path().join("usr/local").join(folder));
    let names = |folder: &str| {
        let entries = fs::read_dir(repository().join(folder)).expect("readable");
        entries.map(|entry| entry.expect("readable").file_name().into_string().expect("UTF-8"))
    };

    let pages: BTreeSet<String> =
        names("man").map(|name| format!("man{}/{name}", &name[name.len() - 1..])).collect();
    assert_eq!(files_of("share/man"), pages);
    let documents = files_of("share/doc/nixos-nspawn");
    for document in ["README.md", "CHANGELOG.md", "LICENSE"] {
        assert!(documents.contains(document), "{documents:?}");
    }
    let pages = |file: &String| file.ends_with(".md") || file.ends_with(".svg");
    let markdown: BTreeSet<String> = files(&repository().join("docs")).into_iter().filter(pages).collect();
    let below: BTreeSet<String> =
        documents.iter().filter_map(|file| file.strip_prefix("docs/")).map(str::to_owned).collect();
    assert_eq!(below, markdown);
    let shared = files_of("share/nixos-nspawn");
    for file in
        ["nixos-nspawn.schema.json", "json/list.schema.json", "nix/lib.nix", "examples/debian/flake.nix"]
    {
        assert!(shared.contains(file), "{shared:?}");
    }
    let rest: Vec<String> = files_of("").into_iter().filter(|file| !file.starts_with("share/")).collect();
    let expected = [
        "bin/nixos-nspawn",
        "bin/nixos-nspawn-ctl",
        "lib/systemd/networkd.conf.d/10-nixos-nspawn.conf",
        "lib/systemd/system-generators/nixos-nspawn-generator",
        "lib/systemd/system/nixos-nspawn-update.service",
        "lib/systemd/system/nixos-nspawn-update.timer",
        "libexec/nixos-nspawn/unit-helper",
    ];
    assert_eq!(rest, expected);
    let service =
        fs::read_to_string(place.path().join("usr/local/lib/systemd/system/nixos-nspawn-update.service"));
    assert!(service.expect("readable").contains("\nExecStart=/usr/local/bin/nixos-nspawn update --all\n"));

    let removed = make(&[], &["uninstall", &destination]);
    assert!(removed.status.success() && said(&removed).is_empty(), "{}", said(&removed));
    assert_eq!(files(place.path()), BTreeSet::new());
}

#[test]
fn programs_for_another_prefix_are_refused() {
    let place = tempfile::tempdir().expect("a directory");
    let destination = format!("DESTDIR={}", place.path().display());
    let refused = make(&[], &["install", "PREFIX=/usr", &destination]);
    let message = "built for another PREFIX; run 'make build PREFIX=/usr' first, not as root";
    assert!(!refused.status.success() && said(&refused).contains(message), "{}", said(&refused));
    let refused = make(&[], &["install", "BUILT=/nowhere", &destination]);
    let message = "/nowhere: the programs are not built; run 'make build PREFIX=/usr/local' first";
    assert!(!refused.status.success() && said(&refused).contains(message), "{}", said(&refused));
    assert_eq!(files(place.path()), BTreeSet::new(), "nothing is installed");
}

/// Debian's zsh finds the completions, whatever the prefix.
#[test]
fn completions_are_where_zsh_searches() {
    let searched = Command::new("zsh").args(["-f", "-c", "print -l $fpath"]).output().expect("zsh runs");
    let searched = String::from_utf8(searched.stdout).expect("UTF-8");
    for prefix in ["/usr", "/usr/local"] {
        let place = tempfile::tempdir().expect("a directory");
        let variables = [
            format!("PREFIX={prefix}"),
            format!("DESTDIR={}", place.path().display()),
            // The programs are those of the default prefix.
            "HELPER=/usr/local/libexec/nixos-nspawn/unit-helper".to_owned(),
        ];
        let installed = make(&[], &["install", &variables[0], &variables[1], &variables[2]]);
        assert!(installed.status.success(), "{}", said(&installed));
        let found = files(place.path());
        let script =
            found.iter().find_map(|file| file.strip_suffix("/_nixos-nspawn")).expect("a script for zsh");
        assert!(searched.lines().any(|folder| folder == format!("/{script}")), "{script}: {searched}");
    }
}

/// On a running system, the generator takes effect at once, and stops to.
#[test]
fn systemd_is_reloaded() {
    let place = tempfile::tempdir().expect("a directory");
    let programs = place.path().join("programs");
    fs::create_dir(&programs).expect("new");
    let calls = place.path().join("calls");
    let systemctl = programs.join("systemctl");
    fs::write(&systemctl, format!("#!/bin/sh\necho \"$@\" >> {}\n", calls.display())).expect("written");
    Command::new("chmod").arg("+x").arg(&systemctl).status().expect("chmod runs");
    // In its own view of /run, this system is booted with systemd; /usr/local is empty.
    let script = format!(
        "mount -t tmpfs tmpfs /run && mkdir -p /run/systemd/system && mount -t tmpfs tmpfs /usr/local && \
         export PATH={}:/usr/bin:/bin && exec \"$@\"",
        programs.display()
    );
    let booted = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", &script, "sh"];
    let elsewhere = format!("DESTDIR={}", place.path().display());
    for (words, expected) in [
        (&["install"][..], 1),
        (&["uninstall"], 2),
        (&["install", &elsewhere], 2),
        (&["uninstall", &elsewhere], 2),
    ] {
        let output = make(&booted, words);
        assert!(output.status.success(), "{words:?}: {}", said(&output));
        let called = fs::read_to_string(&calls).unwrap_or_default();
        assert_eq!(called, "daemon-reload\n".repeat(expected), "{words:?}");
    }
}

/// The programs tell nothing about the machine that built them.
#[test]
fn programs_hold_no_paths_of_the_build() {
    let home = std::env::var("HOME").expect("HOME");
    let crates = std::env::var("CARGO_HOME").unwrap_or(format!("{home}/.cargo"));
    let repository = repository();
    for program in [&bins().ctl, &bins().generator] {
        let bytes = fs::read(program).expect("readable");
        for path in [repository.to_str().expect("UTF-8"), &crates, "/registry/src/"] {
            let found = bytes.windows(path.len()).any(|window| window == path.as_bytes());
            assert!(!found, "{}: holds {path}", program.display());
        }
        // The check finds what is there.
        assert!(bytes.windows(5).any(|window| window == b"/etc/"));
    }
}
