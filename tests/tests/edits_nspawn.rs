//! Documents of `systemd_unit_syntax` and real files: each file of systemd comes back to the byte, and what was edited is
//! read by the `systemd-nspawn` of versions 257 and 262 as it was meant.

use std::fs;
use std::path::{Path, PathBuf};

use nixos_nspawn_tests::host::{Suite, systemd_corpora, tree};
use nixos_nspawn_tests::nspawn_files::{Random, nspawn_file};
use nixos_nspawn_tests::nspawn_parser::verdicts;
use pretty_assertions::assert_eq;
use systemd_unit_syntax::{Document, parse};

/// How many generated files are edited.
const FILES: usize = 60;

/// Returns the files below a directory that are in systemd's format, by their names.
fn files(top: &Path, any: bool) -> Vec<PathBuf> {
    const ENDINGS: [&str; 16] = [
        "automount",
        "conf",
        "dnssd",
        "link",
        "mount",
        "netdev",
        "network",
        "nspawn",
        "path",
        "preset",
        "service",
        "slice",
        "socket",
        "swap",
        "target",
        "timer",
    ];
    let entries = walkdir::WalkDir::new(top).sort_by_file_name().into_iter().flatten();
    let files = entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path);
    let ending = |path: &Path| path.extension().is_some_and(|end| ENDINGS.iter().any(|known| end == *known));
    files.filter(|path| any || ending(path)).collect()
}

/// Every unit and configuration file of both hosts and of this repository, and each file that systemd's fuzzers start from.
#[test]
fn real_files_come_back_to_the_byte() {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden");
    let mut all = files(&golden, false);
    for suite in Suite::ALL {
        for place in ["usr/lib/systemd", "etc/systemd"] {
            all.extend(files(&tree(suite).join(place), false));
        }
    }
    let corpora = files(&systemd_corpora(), true);
    assert!(corpora.len() > 300, "{} files of systemd's fuzzers", corpora.len());
    all.extend(corpora);
    let mut edited = 0;
    for path in &all {
        let bytes = fs::read(path).expect("readable");
        let mut document = Document::parse(bytes.as_slice());
        assert!(document.to_bytes() == bytes, "{}", path.display());
        match parse(&bytes) {
            Ok(parsed) => assert_eq!(document.to_unit_file(), parsed.file, "{}", path.display()),
            Err(error) => {
                assert_eq!(document.error(), Some(error), "{}", path.display());
                continue;
            }
        }
        // Every setting in turn changes and comes back; nothing else does at any time.
        let settings: Vec<[String; 2]> =
            document.settings().map(|(section, key, _)| [section.to_owned(), key.to_owned()]).collect();
        let others = |document: &Document, [section, key]: &[String; 2]| -> Vec<String> {
            let others = document.settings().filter(|(s, k, _)| (*s, *k) != (section, key));
            others.map(|(section, key, value)| format!("[{section}] {key}={value}")).collect()
        };
        for setting in settings.iter().take(40) {
            let [section, key] = setting;
            let before = others(&document, setting);
            if document.set(section, key, "edited").is_err() {
                // A key that only a file can have.
                continue;
            }
            let again = Document::parse(document.to_bytes());
            assert_eq!(
                again.values(section, key).filter(|value| !value.is_empty()).collect::<Vec<_>>(),
                ["edited"]
            );
            assert_eq!(others(&again, setting), before, "{}", path.display());
            edited += 1;
        }
    }
    println!("{} files, {edited} edits", all.len());
    assert!(all.len() > 300 && edited > 2000, "{} files, {edited} edits", all.len());
}

/// Returns nspawn's messages about a file, without the numbers of lines.
fn messages(said: &str, number: usize) -> Vec<String> {
    let prefix = format!("/run/systemd/nspawn/f{number}.nspawn:");
    let messages = said.lines().filter_map(|line| line.strip_prefix(&prefix)?.split_once(": "));
    messages.map(|(_, message)| message.to_owned()).collect()
}

/// The settings that are edited. nspawn repeats their values when it refuses them, which shows what it read.
const EDITED: [&str; 3] =
    ["failed to parse personality", "failed to parse capability", "invalid inaccessible"];

/// The values that they get.
const MEANT: [&str; 7] =
    ["EDITED_A", "EDITED_B", "EDITED_C", "edited one", "relative/a", "relative/b", "relative/c"];

#[test]
fn edited_files_are_read_as_they_were_meant() {
    let mut random = Random::new(7);
    let mut files: Vec<Vec<u8>> = (0..FILES).map(|_| nspawn_file(&mut random)).collect();
    for text in [
        "[Exec]\nPersonality = \\\n# c\n  x86 \\\n\n[Files]\n#Inaccessible=\n",
        "\u{feff}[Exec]\r\n; c\r\nPersonality=x\\\r\n  y\r\nHostname=a b\r\n",
        "[Exec]\nCapability=A\\\n# c\n B\n\u{feff}Personality=b\n\u{feff}Boot=c\n[Files]\nInaccessible=x\\",
        "# c\\\n[Files]\nInaccessible=a\nInaccessible=\nInaccessible=b\n[Exec]\nCapability=\\\n\nBoot=maybe",
    ] {
        files.push(text.as_bytes().to_vec());
    }
    files.retain(|bytes| Document::parse(bytes.as_slice()).error().is_none());
    assert!(files.len() > FILES / 2, "only {} files can be read", files.len());
    let mut edited = Vec::new();
    for bytes in &files {
        let mut document = Document::parse(bytes.as_slice());
        let edit = |document: &mut Document| {
            document.set("Exec", "Personality", "edited one")?;
            document.remove("Exec", "DropCapability")?;
            document.remove("Exec", "AmbientCapability")?;
            document.set_all("Exec", "Capability", &["EDITED_A EDITED_B", "EDITED_C"])?;
            document.set_all("Files", "Inaccessible", &["relative/a", "relative/b"])?;
            document.append("Files", "Inaccessible", "relative/c")
        };
        edit(&mut document).expect("can be edited");
        edited.push(document.to_bytes());
    }
    for suite in Suite::ALL {
        let before = verdicts(&tree(suite), &files);
        let after = verdicts(&tree(suite), &edited);
        for (number, ((_, before), (verdict, after))) in before.iter().zip(&after).enumerate() {
            let text = String::from_utf8_lossy(&edited[number]);
            let is_edited = |message: &String| {
                let message = message.to_lowercase();
                EDITED.iter().any(|key| message.starts_with(key))
            };
            let (ours, others): (Vec<String>, Vec<String>) =
                messages(after, number).into_iter().partition(is_edited);
            let mut untouched = messages(before, number);
            untouched.retain(|message| !is_edited(message));
            if verdict.refused {
                // A value of another setting stops both.
                continue;
            }
            assert_eq!(others, untouched, "{suite}, file {number}:\n{text}");
            let values = ours.iter().map(|message| MEANT.into_iter().find(|value| message.contains(value)));
            let mut values: Vec<Option<&str>> = values.collect();
            values.sort_unstable();
            // Resets stay, and it complains about those of lists that it does not reset.
            let document = Document::parse(edited[number].as_slice());
            let resets = document.values("Files", "Inaccessible").filter(|value| value.is_empty());
            let meant: Vec<Option<&str>> = resets.map(|_| None).chain(MEANT.map(Some)).collect();
            assert_eq!(values, meant, "{suite}, file {number}: {ours:#?}\n{text}");
        }
        let refused = after.iter().filter(|(verdict, _)| verdict.refused).count();
        println!("{suite}: {} files, {refused} refused for other reasons", after.len());
        assert!(refused * 4 < after.len(), "{suite}: {refused} of {} refused", after.len());
    }
}
