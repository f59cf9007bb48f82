//! What `verify` finds in `.nspawn` files is what the parsers of systemd 257 and 262 complain about: generated files, the
//! corpora of systemd's fuzzers, and one of each case. `make verify-nspawn` compares more files.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use nixos_nspawn_tests::host::{Suite, systemd_corpora, tree};
use nixos_nspawn_tests::nspawn_files::{Random, nspawn_file};
use nixos_nspawn_tests::nspawn_parser::{Verdict, verdicts};
use nixos_nspawn_units::verify::{Effect, nspawn};

/// How many generated files are compared, unless VERIFY_FILES says otherwise.
const FILES: usize = 250;

fn ours(bytes: &[u8], systemd: u32) -> Verdict {
    let found = nspawn(bytes, systemd);
    let lines: BTreeSet<usize> = found.iter().filter_map(|finding| finding.line).collect();
    Verdict { lines, refused: found.iter().any(|finding| finding.effect == Effect::Refused) }
}

/// Compares our findings with both versions' complaints.
fn compare(files: &[Vec<u8>]) {
    let mut differ = String::new();
    for (suite, systemd) in [(Suite::Trixie, 257), (Suite::Forky, 262)] {
        assert!(suite.has_systemd(systemd), "{suite} has another systemd");
        let (mut complaints, mut clean, mut refused, mut different) = (0, 0, 0, 0);
        for (number, (bytes, (theirs, said))) in files.iter().zip(verdicts(&tree(suite), files)).enumerate() {
            complaints += theirs.lines.len();
            clean += usize::from(theirs.lines.is_empty());
            refused += usize::from(theirs.refused);
            let mut ours = ours(bytes, systemd);
            // systemd counts the end of a file that ends in a continued line as a line.
            let end =
                theirs.lines.last().copied().filter(|end| is_continued(bytes) && !ours.lines.contains(end));
            if let Some(end) = end.filter(|end| ours.lines.remove(&(end - 1))) {
                ours.lines.insert(end);
            }
            if ours != theirs {
                different += 1;
                let _ = writeln!(
                    differ,
                    "systemd {systemd}, file {number}\nours   {ours:?}\ntheirs {theirs:?}\n{}\n{said}\n",
                    numbered(bytes)
                );
            }
        }
        println!(
            "systemd {systemd}: {} files, {complaints} complaints, {clean} files without, {refused} refused, {different} different",
            files.len()
        );
        assert!(complaints > 0, "systemd {systemd} says nothing");
    }
    assert!(differ.is_empty(), "{differ}");
}

/// Returns whether the last line, apart from comments, would be joined with a next one.
fn is_continued(bytes: &[u8]) -> bool {
    let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r' | b'\0'));
    let is_comment = |line: &[u8]| matches!(line.trim_ascii_start(), [b'#' | b';', ..]);
    let lines: Vec<&[u8]> = lines.filter(|line| !is_comment(line)).collect();
    let last = lines.iter().rev().find(|line| !line.is_empty());
    last.is_some_and(|line| line.ends_with(b"\\"))
}

fn numbered(bytes: &[u8]) -> String {
    let text = bytes.escape_ascii().to_string().replace("\\n", "\n");
    text.lines().enumerate().map(|(at, line)| format!("{:4} {line}\n", at + 1)).collect()
}

#[test]
fn generated_files() {
    let count = std::env::var("VERIFY_FILES").ok().map_or(FILES, |count| count.parse().expect("a number"));
    let seed = std::env::var("VERIFY_SEED").ok().map_or(1, |seed| seed.parse().expect("a number"));
    let mut random = Random::new(seed);
    let files: Vec<Vec<u8>> = (0..count).map(|_| nspawn_file(&mut random)).collect();
    compare(&files);
}

/// The files that systemd's fuzzers of unit files, of other files in their syntax and of anything else start from, read as
/// `.nspawn` files, and the cases of this repository.
#[test]
fn files_of_corpora() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let read = |top: PathBuf, wanted: fn(&Path) -> bool| -> Vec<Vec<u8>> {
        let entries = walkdir::WalkDir::new(top).sort_by_file_name().into_iter().flatten();
        let entries = entries.filter(|entry| entry.file_type().is_file() && wanted(entry.path()));
        entries.map(|entry| fs::read(entry.path()).expect("readable")).collect()
    };
    let mut files = read(systemd_corpora(), |_| true);
    assert!(files.len() > 300, "{} files of systemd's fuzzers", files.len());
    let cases = read(golden, |path| path.extension().is_some_and(|end| end == "nspawn"));
    assert!(!cases.is_empty());
    files.extend(cases);
    files.push(long_line(1024 * 1024 - 1, ""));
    files.push(long_line(1024 * 1024, ""));
    files.push(long_line(1024 * 1024 - 2, "\\\nx"));
    files.push(b"[Exec]\nBoot=perhaps\\".to_vec());
    files.push(b"[Exec]\nBoot=perhaps \\\n# comment\n  ; comment \xff".to_vec());
    files.push(b"[Exec]\nBoot=yes\nBoot=no\nProcessTwo=yes\nProcessTwo=no\n[Network]\nPort=80\nPort=tcp:80:81\nPort=udp:80\n".to_vec());
    files.push(NUMBERS.as_bytes().to_vec());
    compare(&files);
}

/// Numbers that versions of C and of systemd read differently.
const NUMBERS: &str = "[Exec]
OOMScoreAdjust=-0b110
OOMScoreAdjust=0b0b1
OOMScoreAdjust=+0b1
OOMScoreAdjust=0b-1
OOMScoreAdjust=\u{b}0b1
OOMScoreAdjust=0o0o1
OOMScoreAdjust=0x0x1
LimitNOFILE=+0b1
LimitNOFILE=\u{b}-1
LimitNOFILE=\u{b}-2
MachineID=urn:uuid:01234567-89ab-cdef-0123-456789abcdef
[Network]
Interface=+0b1
";

fn long_line(length: usize, end: &str) -> Vec<u8> {
    let key = "Environment=";
    format!("[Exec]\n{key}{}{end}\nBoot=perhaps\n", "a".repeat(length - key.len())).into_bytes()
}
