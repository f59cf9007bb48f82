//! Asks the parser of a `systemd-nspawn` about `.nspawn` files: at which lines it complains, and whether it refuses the file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a parser finds in one file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The lines that it complains about.
    pub lines: BTreeSet<usize>,
    /// Whether it stops reading.
    pub refused: bool,
}

/// Returns the verdicts of the systemd in `tree` about these files, with its messages.
pub fn verdicts(tree: &Path, files: &[Vec<u8>]) -> Vec<(Verdict, String)> {
    let work = tempfile::tempdir().expect("temporary folder");
    for (number, bytes) in files.iter().enumerate() {
        fs::write(work.path().join(format!("f{number}.nspawn")), bytes).expect("written");
    }
    // Its own namespaces: all its mounts and processes end with it.
    let mut command = Command::new("unshare");
    command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-euc", SCRIPT]);
    command.arg(tree).arg(work.path()).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let output = command.stdin(Stdio::null()).output().expect("unshare of util-linux");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{}: cannot be asked: {said}", tree.display());
    let said = |number: usize| {
        let path = work.path().join(format!("f{number}.said"));
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: not asked: {error}", path.display()));
        String::from_utf8_lossy(&bytes).into_owned()
    };
    (0..files.len()).map(|number| (verdict(number, &said(number)), said(number))).collect()
}

fn verdict(number: usize, said: &str) -> Verdict {
    let prefix = format!("/run/systemd/nspawn/f{number}.nspawn:");
    let mut verdict = Verdict::default();
    for line in said.lines() {
        let Some((at, message)) = line.strip_prefix(&prefix).and_then(|rest| rest.split_once(": ")) else {
            continue;
        };
        let Ok(at) = at.parse::<usize>() else { continue };
        // It has not counted a line that is too long yet.
        verdict.lines.insert(if message.starts_with("Line too long") { at + 1 } else { at });
        let stops = ["Failed to parse file", "Line too long", "Continuation line too long"];
        verdict.refused |= stops.iter().any(|stop| message.starts_with(stop));
    }
    // It fails on the missing root after it has read the settings, or on an interface that is not there.
    let ended = said.contains("Failed to resolve path /none: No such file or directory");
    assert!(!(ended && verdict.refused), "{said}");
    verdict
}

/// `$0` is the tree, `$1` the directory of the files. nspawn is called as in the stock template.
const SCRIPT: &str = r#"
root=$1/.root
mkdir "$root"
mount -t tmpfs tmpfs "$root"
cd "$root"
mkdir -p usr proc sys dev tmp etc run/systemd/nspawn var/lib/machines files
mount --bind "$0/usr" usr
for link in bin sbin lib lib32 lib64 libx32; do
    [ ! -L "$0/$link" ] || cp -a "$0/$link" .
done
mount -t proc proc proc
# Read-only, as where no udev runs: else nspawn waits for udev to know the interfaces that settings name.
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
: > etc/machine-id
mount --bind "$1" files
mount --bind "$1" run/systemd/nspawn
chroot . sh -c '
for file in /files/f*.nspawn; do
    name=${file##*/}
    name=${name%.nspawn}
    systemd-nspawn --quiet --keep-unit --boot --settings=override --machine="$name" --register=no \
        --directory=/none > "/files/$name.said" 2>&1 < /dev/null || :
done'
"#;
