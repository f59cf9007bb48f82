//! Archives: what is written is read again, and bad ones are refused without a trace outside.

use std::fs::{self, File};
use std::io::{Cursor, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::json;
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::extract::Extraction;
use super::read::{Sizes, TakenAttributes, Taker, What, check, read};
use super::sum::{Sum, Summed};
use super::write::Writer;
use super::*;

fn described() -> Description {
    let profile = format!("/nix/store/{}-web", "a".repeat(32)).parse().unwrap();
    description(&"web".parse().unwrap(), json!({"version": 1}), profile, "2026-01-01T00:00:00Z".to_owned())
}

/// Returns a file with these bytes.
fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn quiet(_: u64) {}

/// Writes an archive of a directory.
fn archive(root: &Path, closure: &[u8]) -> Vec<u8> {
    let mut writer = Writer::begin(Vec::new(), &described(), &quiet).unwrap();
    writer.closure(closure).unwrap();
    writer.state(root).unwrap();
    let (size, bytes) = writer.end().unwrap();
    assert_eq!(size, bytes.len() as u64);
    bytes
}

/// Collects the closure.
#[derive(Default)]
struct Closure(Vec<u8>);

impl Taker for Closure {
    fn closure(&mut self, part: &mut dyn Read) -> anyhow::Result<()> {
        part.read_to_end(&mut self.0)?;
        Ok(())
    }

    fn state(&mut self, _: &[u8], _: What, _: &TakenAttributes) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Extracts an archive into an empty directory and returns that.
fn extract(archive: &File) -> (TempDir, anyhow::Result<()>) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(folder.path().join("secret"), "secret").unwrap();
    let mut extraction = Extraction::into(&root).unwrap();
    let done = read(archive, &mut extraction, &quiet).and_then(|_| extraction.end());
    (folder, done)
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let long = format!("{}/{}", "d".repeat(200), "e".repeat(250));
    fs::create_dir_all(root.join(&long)).unwrap();
    fs::write(root.join(&long).join("file"), "deep").unwrap();
    fs::write(root.join("line\nbreak"), "x").unwrap();
    fs::write(root.join("empty"), "").unwrap();
    fs::hard_link(root.join("line\nbreak"), root.join("other name")).unwrap();
    for (name, target) in [("up", "../../etc/passwd"), ("odd", "a//b/./c/"), ("far", &"x/".repeat(300))] {
        symlink(target, root.join(name)).unwrap();
    }
    mknodat(CWD, root.join("pipe"), FileType::Fifo, Mode::RWXU, 0).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let mut hole = File::create(root.join("hole")).unwrap();
    hole.seek(std::io::SeekFrom::Start(1 << 20)).unwrap();
    hole.write_all(b"end").unwrap();
    hole.set_len(2 << 20).unwrap();
    // Nix's sandbox refuses set-user-ID files.
    let mode = |mode| fs::set_permissions(root.join("empty"), fs::Permissions::from_mode(mode));
    mode(0o4711).or_else(|_| mode(0o711)).unwrap();
    fs::set_permissions(root.join("d".repeat(200)), fs::Permissions::from_mode(0o500)).unwrap();
    let closure: Vec<u8> = (0..PART * 2 + 5).map(|at| at as u8).collect();
    let archive = file(&archive(root, &closure));
    drop(socket);

    let (description, sizes) = check(&archive, &quiet).unwrap();
    assert_eq!((description.name.as_str(), &description.intent), ("web", &json!({"version": 1})));
    assert_eq!(sizes.closure, closure.len() as u64);
    let mut found = Closure::default();
    read(&archive, &mut found, &quiet).unwrap();
    assert!(found.0 == closure);

    let (folder, done) = extract(&archive);
    done.unwrap();
    let copy = folder.path().join("root");
    for entry in walkdir::WalkDir::new(root).min_depth(1) {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(root).unwrap();
        if name == Path::new("socket") {
            assert!(!copy.join(name).exists());
            continue;
        }
        let (one, other) = (entry.metadata().unwrap(), copy.join(name).symlink_metadata().unwrap());
        let all = |found: &fs::Metadata| {
            let size = if found.is_dir() { 0 } else { found.len() };
            let links = if found.is_dir() { 0 } else { found.nlink() };
            (found.mode(), found.uid(), found.gid(), size, found.mtime(), found.mtime_nsec(), links)
        };
        assert_eq!(all(&one), all(&other), "{name:?}");
        if one.is_file() {
            assert!(fs::read(entry.path()).unwrap() == fs::read(copy.join(name)).unwrap(), "{name:?}");
        } else if one.is_symlink() {
            assert_eq!(fs::read_link(entry.path()).unwrap(), fs::read_link(copy.join(name)).unwrap());
        }
    }
    assert!(copy.join("hole").metadata().unwrap().blocks() * 512 < 1 << 20, "holes are holes");
    fs::set_permissions(root.join("d".repeat(200)), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(copy.join("d".repeat(200)), fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn cut_and_damaged_archives_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("data"), "x".repeat(2000)).unwrap();
    let good = archive(folder.path(), b"closure");
    check(&file(&good), &quiet).unwrap();
    let refused = |bytes: &[u8], what: &str| {
        let error = check(&file(bytes), &quiet).map(drop).unwrap_err();
        format!("{error:#} ({what})")
    };
    // What follows is zeros, which nothing depends on.
    let length = good.iter().rposition(|byte| *byte != 0).unwrap();
    for length in (0..length).step_by(171) {
        refused(&good[..length], &format!("{length} bytes"));
    }
    for at in (0..length).step_by(97) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        refused(&bad, &format!("byte {at}"));
    }
    assert!(
        refused(&[], "").contains("not an archive of nixos-nspawn") || refused(&[], "").contains("is cut")
    );
    assert!(refused(&[7; 4096], "").contains("not an archive"));
    let mut tar = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    tar.append_data(&mut header, "etc/passwd", &b"x"[..]).unwrap();
    assert!(refused(&tar.into_inner().unwrap(), "").contains("not an archive of nixos-nspawn"));
}

/// An entry: its name, kind, link and contents.
type Row<'a> = (&'a str, EntryType, &'a str, &'a [u8]);

/// Makes an archive of entries with any name, link and contents, which has the right checksum.
fn made(description: &serde_json::Value, entries: &[Row], behind: &[&str]) -> File {
    let sum = Sum::default();
    let mut tar = Builder::new(Summed { inner: Cursor::new(Vec::new()), sum: sum.clone() });
    let add = |tar: &mut Builder<_>, name: &str, kind: EntryType, link: &str, contents: &[u8]| {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_link_name_literal(link).unwrap();
        header.set_mode(0o755);
        header.set_mtime(1);
        let own = fs::metadata("/proc/self").unwrap();
        header.set_uid(own.uid().into());
        header.set_gid(own.gid().into());
        if kind == EntryType::Char {
            header.set_device_major(if link.is_empty() { 0 } else { 8 }).unwrap();
            header.set_device_minor(0).unwrap();
        }
        header.set_size(contents.len() as u64);
        header.set_cksum();
        tar.append(&header, contents).unwrap();
    };
    add(&mut tar, FIRST, EntryType::Regular, "", description.to_string().as_bytes());
    for (name, kind, link, contents) in entries {
        add(&mut tar, name, *kind, link, contents);
    }
    let end = End { sha256: sum.whole(), entries: entries.len() as u64 + 1 };
    add(&mut tar, LAST, EntryType::Regular, "", &serde_json::to_vec(&end).unwrap());
    for name in behind {
        add(&mut tar, name, EntryType::Regular, "", b"x");
    }
    file(tar.into_inner().unwrap().inner.get_ref())
}

const ROOT: Row<'static> = ("state", EntryType::Directory, "", b"");

#[test]
fn hostile_archives_write_nothing_outside() {
    use EntryType::{Block, Char, Directory, GNUSparse, Link, Regular, Symlink, XGlobalHeader, XHeader};
    let description = serde_json::to_value(described()).unwrap();
    let good: [Row; 3] =
        [ROOT, ("state/etc", Directory, "", b""), ("state/etc/hostname", Regular, "", b"web")];
    let archive = made(&description, &good, &[]);
    check(&archive, &quiet).unwrap();
    let (folder, done) = extract(&archive);
    done.unwrap();
    assert_eq!(fs::read(folder.path().join("root/etc/hostname")).unwrap(), b"web");

    let large = vec![b'x'; 300 << 10];
    let bad: [(&str, &[Row]); 20] = [
        ("dots", &[ROOT, ("state/../secret", Regular, "", b"x")]),
        ("absolute", &[ROOT, ("/state/x", Regular, "", b"x")]),
        ("elsewhere", &[ROOT, ("etc/passwd", Regular, "", b"x")]),
        ("no root", &[("state/x", Regular, "", b"x")]),
        ("root twice", &[ROOT, ROOT]),
        ("root is a link", &[("state", Symlink, "/etc", b"")]),
        ("through a link", &[ROOT, ("state/a", Symlink, "..", b""), ("state/a/secret", Regular, "", b"x")]),
        (
            "through an absolute link",
            &[ROOT, ("state/a", Symlink, "/tmp", b""), ("state/a/x", Directory, "", b"")],
        ),
        ("over a link", &[ROOT, ("state/a", Symlink, "../secret", b""), ("state/a", Regular, "", b"x")]),
        ("twice", &[ROOT, ("state/a", Regular, "", b"x"), ("state/a", Regular, "", b"x")]),
        ("hard link outside", &[ROOT, ("state/a", Link, "../secret", b"")]),
        ("hard link with dots", &[ROOT, ("state/a", Link, "state/../secret", b"")]),
        (
            "hard link through a link",
            &[ROOT, ("state/a", Symlink, "..", b""), ("state/b", Link, "state/a/secret", b"")],
        ),
        ("device", &[ROOT, ("state/sda", Char, "8", b"")]),
        ("block device", &[ROOT, ("state/sda", Block, "", b"")]),
        ("sparse", &[ROOT, ("state/a", GNUSparse, "", b"")]),
        ("global records", &[ROOT, ("x", XGlobalHeader, "", b"11 path=/x\n"), ("state/a", Regular, "", b"")]),
        ("large record", &[ROOT, ("x", XHeader, "", &large), ("state/a", Regular, "", b"")]),
        ("unknown record", &[ROOT, ("x", XHeader, "", b"12 comment=x\n"), ("state/a", Regular, "", b"")]),
        ("closure behind the state", &[ROOT, ("closure/00000000", Regular, "", b"x")]),
    ];
    for (what, entries) in bad {
        let archive = made(&description, entries, &[]);
        let checked = check(&archive, &quiet).map(drop);
        let (folder, done) = extract(&archive);
        assert!(checked.is_err() || done.is_err(), "{what}");
        assert!(done.is_err() || checked.is_err());
        assert_eq!(fs::read(folder.path().join("secret")).unwrap(), b"secret", "{what}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "{what}");
        assert_eq!(fs::metadata(folder.path().join("secret")).unwrap().nlink(), 1, "{what}");
    }
    // A record with another path is one as well.
    let path = [ROOT, ("x", XHeader, "", &b"23 path=state/../secret\n"[..]), ("state/a", Regular, "", b"x")];
    assert!(check(&made(&description, &path, &[]), &quiet).is_err());
    assert!(check(&made(&description, &good, &["state/late"]), &quiet).is_err());
    let mut sizes = Sizes::default();
    assert!(read(&made(&description, &good, &["end.json"]), &mut sizes, &quiet).is_err());

    let mut newer = description.clone();
    newer["version"] = json!(2);
    let error = format!("{:#}", check(&made(&newer, &good, &[]), &quiet).map(drop).unwrap_err());
    assert!(error.contains("version 2") && error.contains("update"), "{error}");
    for (key, value) in [("name", json!("../x")), ("profile", json!("/etc")), ("version", json!("1"))] {
        let mut bad = description.clone();
        bad[key] = value;
        assert!(check(&made(&bad, &good, &[]), &quiet).is_err(), "{key}");
    }
}
