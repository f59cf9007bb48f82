//! The real parsers of systemd 252, 257 and 262: returns what `systemd-analyze verify`, `systemd-nspawn` and
//! `systemd-networkd` print about output directories of the generator. Each version runs in namespaces, in a root that
//! has the /usr of a Debian, so that nothing is written anywhere else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::host::{Suite, tree};

/// One version of systemd.
pub struct Systemd {
    /// Its version.
    pub version: u32,
    /// A root directory with this version in /usr.
    tree: PathBuf,
}

/// An input to check.
#[derive(Clone)]
pub struct Input {
    /// Its name in messages, which is also a file name.
    pub name: String,
    /// An output directory of the generator.
    pub units: PathBuf,
    /// Absolute paths of the programs that must exist.
    pub programs: Vec<String>,
}

/// systemd's messages about one input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The name of the input.
    pub input: String,
    /// The lines.
    pub text: String,
}

impl Systemd {
    /// Returns all versions, oldest first. Panics with the reason if one is not available.
    pub fn all() -> Vec<Self> {
        let oldest = Self::at(oldest());
        assert_eq!(oldest.version, 252);
        let mut all = vec![oldest];
        for suite in Suite::ALL {
            let systemd = Self::at(tree(suite));
            assert!(
                suite.has_systemd(systemd.version),
                "{suite} is not expected to have {}",
                systemd.version
            );
            all.push(systemd);
        }
        all
    }

    fn at(tree: PathBuf) -> Self {
        Self { version: version(&tree).unwrap_or_else(|| panic!("{}: no systemd", tree.display())), tree }
    }

    /// Returns this systemd's messages about the inputs, except for those about any container.
    pub fn complaints(&self, inputs: &[Input]) -> Vec<Complaint> {
        let work = tempfile::tempdir().expect("temporary folder");
        for input in inputs {
            let dir = work.path().join(&input.name);
            fs::create_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
            copy(&input.units, &dir.join("units"));
            let programs: String = input.programs.iter().map(|program| format!("{program}\n")).collect();
            fs::write(dir.join("programs"), programs).expect("written");
        }
        // Its own PID and mount namespaces: all its mounts and processes end with it.
        let mut command = Command::new("unshare");
        command.args(["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-euc", SCRIPT]);
        command.arg(&self.tree).arg(work.path()).env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        let output = command.stdin(Stdio::null()).output().expect("unshare of util-linux");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.is_empty(),
            "systemd {} could not be asked: {said}",
            self.version
        );
        let networkd = fs::read_to_string(work.path().join(".networkd")).expect("networkd was asked");
        // The script itself adds the last file; a message about it shows that all files were read.
        assert!(
            networkd.contains("NoSuchSetting"),
            "networkd {} could not be asked: {networkd}",
            self.version
        );
        let of_networkd = |input: &&Input| {
            let path = format!("/run/systemd/network/50-{}=", input.name);
            let lines = networkd.lines().filter(|line| line.contains(&path) && !self.is_too_old(line));
            let text: String = lines.map(|line| format!("{line}\n")).collect();
            (!text.is_empty()).then(|| Complaint { input: input.name.clone(), text })
        };
        let complaints =
            inputs.iter().filter_map(|input| self.complaint(input, &work.path().join(&input.name)));
        complaints.chain(inputs.iter().filter_map(|input| of_networkd(&input))).collect()
    }

    /// Whether this version complains only because it does not know something yet.
    fn is_too_old(&self, line: &str) -> bool {
        LATER.iter().any(|(since, word)| self.version < *since && line.contains(word))
    }

    fn complaint(&self, input: &Input, dir: &Path) -> Option<Complaint> {
        let read = |name: &str| {
            let path = dir.join(name);
            fs::read(&path)
                .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .unwrap_or_else(|e| panic!("{}: systemd {} was not asked: {e}", path.display(), self.version))
        };
        let mut text = read("verify");
        for file in fs::read_dir(input.units.join("nixos-nspawn")).into_iter().flatten().flatten() {
            let file = file.file_name().into_string().expect("machine names are ASCII");
            let Some(name) = file.strip_suffix(".nspawn") else { continue };
            let said = read(&format!("nspawn-{name}"));
            // nspawn fails on the missing root after the parser and its own checks have finished.
            let end = format!("Failed to resolve path /none/{name}: No such file or directory");
            let expected = |line: &str| line == end || line.starts_with(FAMILIES) || self.is_too_old(line);
            text.extend(said.lines().filter(|line| !expected(line)).map(|line| format!("{line}\n")));
            // From 257 on, nspawn looks for the interface to move before the root, and exits silently; there is
            // no such interface here.
            let settings = input.units.join(format!("nixos-nspawn/{file}"));
            let settings = fs::read_to_string(settings).expect("just listed");
            let looks_first =
                self.version >= 257 && settings.contains("\nInterface=") && said.lines().all(expected);
            if !looks_first && !said.lines().any(|line| line == end) {
                text.push_str(&format!("{file}: nspawn did not come to the end of its checks\n"));
            }
        }
        (!text.is_empty()).then(|| Complaint { input: input.name.clone(), text })
    }
}

/// The subject of a complaint, and the first version without it.
const LATER: &[(u32, &str)] = &[
    // Up to 252, an inherited address could not be removed.
    (257, "Invalid address '', ignoring"),
    (257, "Unknown key 'PersistLeases' in section [DHCPServer]"),
    // Golden cases with a host.json of that version.
    (259, "Unknown key 'NamespacePath' in section [Network]"),
    (262, "Failed to parse PersistLeases=runtime"),
];

/// 262 prints this about every container without RestrictAddressFamilies=, which is new in 261.
const FAMILIES: &str =
    "Note: in a future version of systemd-nspawn the default set of permitted socket address families";

/// `$0` is the tree, `$1` the directory of inputs. nspawn is called as in the stock template, with the settings where
/// `--prepare` puts them; see systemd-nspawn@.service(8).
const SCRIPT: &str = r#"
root=$1/.root
mkdir "$root"
mount -t tmpfs tmpfs "$root"
cd "$root"
mkdir -p usr proc sys dev tmp etc run/systemd/nspawn var/lib/machines none inputs networks
mount --bind "$0/usr" usr
for link in bin sbin lib lib32 lib64 libx32; do
    [ ! -L "$0/$link" ] || cp -a "$0/$link" .
done
mount -t proc proc proc
# Read-only, as where no udev runs: else nspawn waits for udev to know the interfaces that settings name.
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount --rbind /dev dev
mount -t tmpfs tmpfs usr/local
: > etc/machine-id
# So that results leave the root; programs named by units go into it.
mount --bind "$1" inputs
for input in "$1"/*/; do
    input=$(basename "$input")
    while IFS= read -r program; do
        mkdir -p ".${program%/*}"
        printf '#!/bin/sh\n' > ".$program"
        chmod 0755 ".$program"
    done < "inputs/$input/programs"
    units=
    for unit in "inputs/$input/units/"systemd-nspawn@*.service.d; do
        [ ! -e "$unit" ] || units="$units $(basename "$unit" .d)"
    done
    for unit in "inputs/$input/units/"*.service "inputs/$input/units/"*.socket; do
        [ ! -e "$unit" ] || units="$units $(basename "$unit")"
    done
    : > "inputs/$input/verify"
    # shellcheck disable=SC2086 # unit names of containers hold neither blanks nor patterns
    if [ -n "$units" ]; then
        SYSTEMD_UNIT_PATH=/inputs/$input/units: chroot . systemd-analyze verify --man=no --recursive-errors=no \
            $units > "inputs/$input/verify" 2>&1 || echo "exit status $?" >> "inputs/$input/verify"
    fi
    for file in "inputs/$input/units/nixos-nspawn/"*.nspawn; do
        [ -e "$file" ] || continue
        name=$(basename "$file" .nspawn)
        cp "$file" run/systemd/nspawn/
        chroot . systemd-nspawn --quiet --keep-unit --boot --link-journal=try-guest --network-veth -U \
            --settings=override --machine="$name" --register=no --directory="/none/$name" \
            > "inputs/$input/nspawn-$name" 2>&1 < /dev/null && echo "started" >> "inputs/$input/nspawn-$name"
        rm "run/systemd/nspawn/$name.nspawn"
    done
    for file in "inputs/$input/units/nixos-nspawn/"*.network; do
        [ ! -e "$file" ] || cp "$file" "networks/50-$input=$(basename "$file")"
    done
done
# networkd reads all its files when it starts; it runs as a user of its own, of whom it knows from /etc.
cp "$0/etc/passwd" "$0/etc/group" etc/
mkdir -p run/systemd/network
cp networks/* run/systemd/network/ 2> /dev/null || true
printf '[Match]\nName=none\n[Network]\nNoSuchSetting=1\n' > run/systemd/network/99-last.network
chroot . timeout 1.5 /usr/lib/systemd/systemd-networkd > inputs/.networkd 2>&1 < /dev/null || true
"#;

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp of coreutils");
    assert!(status.success(), "{}: cannot be copied", from.display());
}

fn version(tree: &Path) -> Option<u32> {
    let output =
        Command::new("chroot").arg(tree).args(["/usr/bin/systemd-nspawn", "--version"]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.split_whitespace().nth(1)?.parse().ok()
}

/// Returns a root with systemd 252: this machine's if it is a Debian 12, otherwise one that is unpacked for this.
fn oldest() -> PathBuf {
    let machine = PathBuf::from("/");
    if version(&machine) == Some(252) {
        return machine;
    }
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/hosts");
    let tree = target.join("bookworm-tree");
    if version(&tree) != Some(252) {
        fs::create_dir_all(&target).unwrap_or_else(|e| panic!("{}: {e}", target.display()));
        let _ = fs::remove_dir_all(&tree);
        let mut command = Command::new("mmdebstrap");
        command
            .args(["--quiet", "--variant=apt", "--include=systemd,systemd-container", "bookworm"])
            .arg(&tree);
        let output = command.output().expect("mmdebstrap of the package mmdebstrap");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no Debian 12 could be made for systemd 252: {said}");
    }
    tree.canonicalize().expect("just made")
}
