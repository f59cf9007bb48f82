//! The commands of nix/package.nix, on the programs of `make build`, and the unit tests, which its check runs: all as a
//! user without rights, as Nix builds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nixos_nspawn_tests::host::{Host, Suite, bins, tree};
use pretty_assertions::assert_eq;
use serde_json::Value;

use crate::{evaluated, repository};

/// User and group of a build in Nix's sandbox.
const USER: &str = "1000:100";

/// Runs the package's own commands, with stand-ins for nixpkgs' shell functions, in a directory with its sources only. They
/// install what `make install` does. Then runs the unit tests in that directory.
pub(crate) fn installs_what_make_does(host: &Host) {
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
    let place = tempfile::tempdir().expect("a directory");
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

    let tests = unit_tests();
    let mut sandbox = Command::new("unshare");
    sandbox.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-euc", SANDBOX]);
    sandbox.arg(tree(Suite::Trixie)).arg(&source).arg(repository().canonicalize().expect("a path"));
    run(sandbox.args(&tests));
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

/// `$0` is a tree with busybox, `$1` the sources, `$2` where they were compiled, the rest are programs. Runs each as in Nix's
/// sandbox: as an own user with a home that does not exist, in a root with nothing but `/bin/sh`, the store and `/build`.
const SANDBOX: &str = r#"
root=$1/../root source=$1 compiled=$2
shift 2
mkdir "$root"
mount -t tmpfs tmpfs "$root"
cd "$root"
tools=nix/store/tools/bin
mkdir -p bin dev etc proc tmp "./$compiled" build programs "$tools"
cp "$0/usr/bin/busybox" "$tools/"
for name in $("$tools/busybox" --list); do [ "$name" = busybox ] || ln -s busybox "$tools/$name"; done
ln -s "/$tools/busybox" bin/sh
ldd "$@" | grep -o '/[^ :]*\.so[^ ]*' | sort -u | while read -r library; do
    mkdir -p "./${library%/*}"; cp -L "$library" "./$library"
done
mount -t proc proc proc
for device in null zero full random urandom tty; do : > dev/$device; mount --bind /dev/$device dev/$device; done
ln -s /proc/self/fd dev/fd
for number in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${number%:*}" "dev/${number#*:}"; done
chmod 1777 tmp; chown 1000:100 build
printf '%s\n' root:x:0:0::/build:/noshell nixbld:x:1000:100::/build:/noshell > etc/passwd
printf '%s\n' root:x:0: nixbld:!:100: > etc/group
echo 127.0.0.1 localhost > etc/hosts
mount --bind "$source" "./$compiled"
cp "$@" programs/
for program in programs/*; do
    chroot --userspec=1000:100 . /bin/sh -c 'cd "$1" && HOME=/homeless-shelter PATH=$2 TMPDIR=/build exec "/$0"' \
        "$program" "$compiled" "/$tools"
done
"#;
