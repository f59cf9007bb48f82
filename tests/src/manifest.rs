//! A directory as text: one line for each entry below it, with kind, mode, link target and contents. Two trees are equal
//! if their texts are. Anything that has no text form is a panic.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Returns everything below `dir`, sorted by path, with file contents indented below their line.
pub fn manifest(dir: &Path) -> String {
    let mut text = String::new();
    for path in paths(dir) {
        let full = dir.join(&path);
        let meta = fs::symlink_metadata(&full).expect("just listed");
        let (mode, kind) = (meta.permissions().mode() & 0o7777, meta.file_type());
        let shown = path.to_str().expect("paths of the output are UTF-8");
        let line = if kind.is_symlink() {
            format!("link {shown} -> {}", fs::read_link(&full).expect("just seen").display())
        } else if kind.is_dir() {
            format!("dir {mode:04o} {shown}")
        } else if kind.is_file() {
            format!("file {mode:04o} {shown}")
        } else {
            format!("other {:o} {shown}", meta.mode())
        };
        writeln!(text, "{line}").expect("writing to a String cannot fail");
        if kind.is_file() {
            let contents = fs::read(&full).unwrap_or_else(|e| panic!("{}: {e}", full.display()));
            let contents = String::from_utf8(contents)
                .unwrap_or_else(|_| panic!("{}: unit files are UTF-8", full.display()));
            indent(&mut text, &contents);
        }
    }
    text
}

/// Appends `contents`, indented by four blanks except for empty lines, and notes a missing newline at the end.
pub fn indent(text: &mut String, contents: &str) {
    for line in contents.split_inclusive('\n') {
        match line.strip_suffix('\n') {
            Some("") => text.push('\n'),
            Some(whole) => writeln!(text, "    {whole}").expect("writing to a String cannot fail"),
            None => {
                writeln!(text, "    {line}\n    \\ no line end").expect("writing to a String cannot fail")
            }
        }
    }
}

/// Returns inode, times, size, mode and owner of every entry, to show that nothing was written.
pub fn state(dir: &Path) -> String {
    let mut text = String::new();
    for path in [PathBuf::new()].into_iter().chain(paths(dir)) {
        let meta = fs::symlink_metadata(dir.join(&path)).expect("just listed");
        let kind = meta.file_type();
        // Reading a file or listing a directory changes its atime only.
        writeln!(
            text,
            "{} {} {}.{} {}.{} {} {:o} {}:{} {}",
            path.display(),
            meta.ino(),
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec(),
            meta.len(),
            meta.mode(),
            meta.uid(),
            meta.gid(),
            if kind.is_fifo() || kind.is_socket() { "special" } else { "" },
        )
        .expect("writing to a String cannot fail");
    }
    text
}

/// Returns the relative paths of all entries below `dir`, sorted.
pub fn paths(dir: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = walkdir::WalkDir::new(dir)
        .min_depth(1)
        .into_iter()
        .map(|entry| {
            entry.unwrap_or_else(|e| panic!("{e}")).path().strip_prefix(dir).expect("below").to_owned()
        })
        .collect();
    paths.sort();
    paths
}
