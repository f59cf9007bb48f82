//! The commands of nix/package.nix, on the programs of `make build`, as a user without rights; and the unit tests, which its
//! check runs, in Nix's sandbox.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nixos_nspawn_tests::host::{Host, bins};
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::{evaluated, repository};

/// User and group of a build in Nix's sandbox.
const USER: &str = "1000:100";

/// Runs the package's own commands, with stand-ins for nixpkgs' shell functions, in a directory with its sources only.
/// They install what `make install` does. The unit tests then need no other sources, either.
pub(crate) fn builds(host: &Host) {
    const FUNCTIONS: &str = r#"
        set -euo pipefail
        runHook() { :; }
        substituteInPlace() { # FILE --replace-fail OLD NEW
            local text; text=$(<"$1"); [[ $2 = --replace-fail && $text == *"$3"* ]]
            printf '%s\n' "${text//"$3"/"$4"}" > "$1"
        }
        installManPage() { local page; for page; do install -D -m 0644 "$page" "$out/share/man/man${page##*.}/${page##*/}"; done; }
        installShellCompletion() { # --cmd NAME --SHELL FILE
            local to
            case $3 in
                --bash) to=bash-completion/completions/$2.bash ;;
                --fish) to=fish/vendor_completions.d/$2.fish ;;
                --zsh) to=zsh/site-functions/_$2 ;;
            esac
            mkdir -p "$out/share/${to%/*}"; cat "$4" > "$out/share/$to"
        }"#;
    // Of the two packages, the one with the paths of `make build`.
    let package = evaluated(
        host,
        "let of = outputs.packages.x86_64-linux.static.arguments; in { inherit (of) env postInstall installCheckPhase src; }",
    );
    let place = tempfile::tempdir_in("/tmp").expect("a directory");
    let (source, out) = (place.path().join("source"), place.path().join("out"));
    fs::create_dir_all(out.join("bin")).expect("new");
    fs::create_dir(&source).expect("new");
    for program in [&bins().ctl, &bins().generator] {
        fs::copy(program, out.join("bin").join(program.file_name().expect("a name"))).expect("copied");
    }
    for path in package["src"].as_array().expect("a list") {
        // Below the flake's copy in the store.
        let name: PathBuf = Path::new(path.as_str().expect("a path")).components().skip(4).collect();
        let from = repository().join(name);
        run(Command::new("cp").arg("-r").arg(from).arg(&source));
    }
    run(Command::new("chown").args(["-R", USER]).arg(place.path()));
    let text = |name: &str| package[name].as_str().expect("commands").to_owned();
    let script = format!("{FUNCTIONS}\n{}\n{}", text("postInstall"), text("installCheckPhase"));
    let mut build = Command::new("setpriv");
    build.args(["--reuid=1000", "--regid=100", "--clear-groups", "bash", "-c", &script]);
    build.current_dir(&source).env("out", &out);
    for (name, value) in package["env"].as_object().expect("variables") {
        build.env(name, value.as_str().expect("a text"));
    }
    run(&mut build);

    let installed = place.path().join("installed");
    let mut make = Command::new("make");
    make.args(["--silent", "install", "PREFIX=/usr/local"]).current_dir(repository());
    run(make.arg(format!("DESTDIR={}", installed.display())));
    assert_eq!(files(&out), files(&installed.join("usr/local")));

    passes_in_the_sandbox(host, place.path());
}

/// Runs the unit tests in the sandbox of a build by Nix: with a user namespace, without set-user-ID files, and with nothing
/// but the sources, busybox and the libraries of the programs.
fn passes_in_the_sandbox(host: &Host, place: &Path) {
    const PLACE: &str = "/root/unit-tests";
    let programs = place.join("programs");
    fs::create_dir(&programs).expect("new");
    run(Command::new("cp").args(unit_tests()).arg(&programs));
    let script = r#"cd "$0"
        ldd programs/* | grep -o '/[^ :]*\.so[^ ]*' | sort -u | while read -r library; do
            mkdir -p "root${library%/*}"; cp -L "$library" "root$library"
        done
        tar -cf unit-tests.tar source programs root"#;
    run(Command::new("sh").args(["-euc", script]).arg(place));
    host.copy_in(&place.join("unit-tests.tar"), &format!("{PLACE}/all.tar"), 0o600);
    host.copy_in(&repository().join("tests/nix/unit-tests.nix"), &format!("{PLACE}/unit-tests.nix"), 0o644);
    // The tests look for sources where they were compiled.
    let sources = repository().canonicalize().expect("a path");
    let script = r#"cd "$0"
        tar -xf all.tar
        groupadd nixbld
        useradd --system --gid=nixbld --groups=nixbld --no-create-home nixbld1
        paths="/bin/sh=/usr/bin/busybox /bin/busybox=/usr/bin/busybox /programs=$0/programs $1=$0/source"
        for directory in root/*; do paths="$paths /${directory#root/}=$0/$directory"; done
        NIX_REMOTE=local nix build --no-link --impure --print-build-logs --option build-users-group nixbld \
            --option sandbox true --option sandbox-fallback false --option sandbox-paths "$paths" \
            --file unit-tests.nix --argstr sources "$1""#;
    let output = host.run(&["sh", "-euc", script, PLACE, &sources.display().to_string()]);
    let passed = output.stderr.matches("test result: ok.").count();
    assert!(output.success() && passed == 5, "{output}");
}

/// Returns the programs of the unit tests of what the package builds.
fn unit_tests() -> Vec<PathBuf> {
    const CRATES: [&str; 4] =
        ["systemd_unit_syntax", "nixos_nspawn_units", "nixos_nspawn_generator", "nixos_nspawn_ctl"];
    // With the flags of CONTRIBUTING.md, so that they are built already.
    let output = Command::new(env!("CARGO"))
        .args(["test", "--workspace", "--all-features", "--locked", "--no-run", "--lib", "--bins"])
        .args(["--message-format", "json"])
        .current_dir(repository())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let program = |line: &str| {
        let message: Value = serde_json::from_str(line).expect("JSON");
        let name = message["target"]["name"].as_str()?.replace('-', "_");
        let path = message["executable"].as_str()?;
        (message["profile"]["test"] == true && CRATES.contains(&name.as_str())).then(|| PathBuf::from(path))
    };
    let programs: Vec<PathBuf> = lines.lines().filter_map(program).collect();
    // The library of ctl has a program, too.
    assert_eq!(programs.len(), 5, "{programs:?}");
    programs
}

/// Returns the paths of files and links below a directory. bash-completion finds `NAME` and `NAME.bash`.
fn files(top: &Path) -> BTreeSet<String> {
    let entries = walkdir::WalkDir::new(top).into_iter().map(|entry| entry.expect("readable"));
    let files = entries.filter(|entry| !entry.file_type().is_dir());
    let below =
        files.map(|entry| entry.path().strip_prefix(top).expect("below").to_string_lossy().into_owned());
    below.map(|path| path.strip_suffix(".bash").unwrap_or(&path).to_owned()).collect()
}

fn run(command: &mut Command) {
    let output = command.output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let program = command.get_program();
    assert!(output.status.success(), "{program:?}: {}{said}", String::from_utf8_lossy(&output.stdout));
}
