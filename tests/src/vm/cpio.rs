//! Writes an archive in cpio's format "newc", which the kernel unpacks as its initial file system.

/// The type of a directory, and that of a regular file, in a mode.
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// An archive.
#[derive(Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: usize,
}

impl Archive {
    /// Adds a directory.
    pub(super) fn directory(&mut self, path: &str) {
        self.add(path, DIRECTORY | 0o755, &[]);
    }

    /// Adds a file that can be executed.
    pub(super) fn file(&mut self, path: &str, contents: &[u8]) {
        self.add(path, FILE | 0o755, contents);
    }

    /// Returns the archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.add("TRAILER!!!", 0, &[]);
        self.bytes
    }

    fn add(&mut self, path: &str, mode: u32, contents: &[u8]) {
        self.entries += 1;
        let [mode, inode, size, name] = [mode as usize, self.entries, contents.len(), path.len() + 1]
            .map(|number| format!("{number:08x}"));
        let zero = "00000000";
        // Inode, mode, user, group, links, time, size, two devices of two numbers each, name, checksum.
        let header =
            [&inode, &mode, zero, zero, "00000001", zero, &size, zero, zero, zero, zero, &name, zero];
        self.bytes.extend_from_slice(b"070701");
        self.bytes.extend_from_slice(header.concat().as_bytes());
        self.bytes.extend_from_slice(path.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_begin_at_multiples_of_four() {
        let mut archive = Archive::default();
        archive.directory("dev");
        archive.file("init", b"#!/bin/sh\n");
        let bytes = archive.finish();
        let at = |text: &[u8]| bytes.windows(text.len()).position(|window| window == text);
        // Header of 110 bytes, name with a zero.
        assert_eq!(at(b"dev\0"), Some(110));
        assert_eq!(at(b"init\0"), Some(116 + 110));
        assert_eq!(at(b"#!/bin/sh\n"), Some(232));
        assert_eq!(at(b"TRAILER!!!\0"), Some(244 + 110));
        assert_eq!(bytes.len() % 4, 0);
    }
}
