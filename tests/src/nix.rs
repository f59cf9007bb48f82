//! Evaluates the project's Nix files and expressions with Debian 13's Nix, without a store and without nixpkgs. Nix runs
//! in its own root, in namespaces, with limits on time and memory; tests/nix/stand-in replaces nixpkgs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::host::{Suite, tree};

/// The path of the project for expressions.
pub const PROJECT: &str = "/project";

/// Returns the top directory of the project.
pub fn project() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the project")
}

/// Returns all Nix files, relative to the top of the project.
pub fn files() -> Vec<String> {
    let top = project();
    let ours = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        entry.depth() == 0 || !(name.starts_with('.') || entry.depth() == 1 && name == "target")
    };
    let mut files: Vec<String> = walkdir::WalkDir::new(&top)
        .into_iter()
        .filter_entry(ours)
        .map(|entry| entry.expect("readable").into_path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "nix"))
        .map(|path| path.strip_prefix(&top).expect("below").to_str().expect("UTF-8").to_owned())
        .collect();
    files.sort();
    files
}

/// Returns Nix's syntax errors for each file, empty for a correct one.
pub fn faults(files: &[String]) -> Vec<String> {
    let words = files.iter().map(|file| vec!["--parse".into(), format!("{PROJECT}/{file}")]).collect();
    let results = nix_instantiate(words);
    results
        .into_iter()
        .zip(files)
        .filter_map(|(result, file)| Some(format!("{file}: {}", result.err()?)))
        .collect()
}

/// Returns the value of each expression, or Nix's error.
pub fn evaluate(expressions: &[String]) -> Vec<Result<Value, String>> {
    let words = expressions
        .iter()
        .map(|expression| {
            ["--eval", "--strict", "--json", "--expr", expression]
                .iter()
                .map(|&word| word.to_owned())
                .collect()
        })
        .collect();
    let results = nix_instantiate(words);
    results
        .into_iter()
        .map(|result| {
            result.map(|text| serde_json::from_str(&text).expect("nix-instantiate --json prints JSON"))
        })
        .collect()
}

/// Runs nix-instantiate once for each argument list. Returns standard output, or standard error if it fails.
fn nix_instantiate(words: Vec<Vec<String>>) -> Vec<Result<String, String>> {
    let work = tempfile::tempdir().expect("temporary folder");
    for (index, words) in words.iter().enumerate() {
        let dir = work.path().join(index.to_string());
        fs::create_dir(&dir).expect("new");
        // One argument per line would not work: expressions have several lines.
        let words: Vec<u8> = words.iter().flat_map(|word| word.bytes().chain([0])).collect();
        fs::write(dir.join("words"), words).expect("written");
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-euc", SCRIPT]);
    command.arg(tree(Suite::Trixie)).arg(work.path()).arg(project());
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = command.stdin(Stdio::null()).output().expect("unshare of util-linux");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "Nix could not be asked: {said}");
    (0..words.len())
        .map(|index| {
            let read = |name: &str| {
                let path = work.path().join(index.to_string()).join(name);
                fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
            };
            if read("status") == "0\n" { Ok(read("out")) } else { Err(read("err")) }
        })
        .collect()
}

/// `$0` is the tree, `$1` the directory of questions, `$2` the project. Runs one process per processor at a time.
const SCRIPT: &str = r#"
root=$1/.root
mkdir "$root"
mount -t tmpfs tmpfs "$root"
cd "$root"
mkdir -p usr proc dev tmp etc root nix project questions
mount --bind "$0/usr" usr
for link in bin sbin lib lib32 lib64 libx32; do
    [ ! -L "$0/$link" ] || cp -a "$0/$link" .
done
mount -t proc proc proc
mount --rbind /dev dev
mount --bind "$2" project
mount -o remount,bind,ro project
mount --bind "$1" questions
cat > ask <<'RUN'
cd "/questions/$0"
ulimit -v 8000000
status=0
xargs -0 timeout 120 nix-instantiate --store dummy:// < words > out 2> err || status=$?
echo $status > status
RUN
ls questions | HOME=/root xargs -n 1 -P "$(nproc)" chroot . sh -c '. /ask'
"#;
