//! Makes what Git cannot store in a case's root: modes, owners, FIFOs, devices, links, huge files, odd bytes. The lines of
//! the case's `setup` file are commands, executed in order on the copy of its root. Words are separated by blanks; the
//! last one may contain escapes such as `\n`, `\0` and `\xHH`. Paths are below the root. A command that fails is a panic.
//!
//! ```text
//!     chmod MODE PATH        chown UID PATH         mkdir PATH            remove PATH
//!     mkfifo PATH            socket PATH            device PATH           move PATH TO
//!     symlink TARGET PATH    fill SIZE PATH         bytes PATH TEXT       repeat COUNT PATH TEXT
//! ```

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

/// Executes every line of `script` on the tree at `root`.
pub fn set_up(root: &Path, script: &str) {
    for line in script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Err(error) = step(root, line) {
            panic!("setup line '{line}': {error}");
        }
    }
}

fn step(root: &Path, line: &str) -> std::io::Result<()> {
    let (word, rest) = line.split_once(' ').expect("a verb and what it is done to");
    let two = || rest.split_once(' ').expect("two arguments");
    let at = |path: &str| path_below(root, path);
    match word {
        "chmod" => {
            let (mode, path) = two();
            let mode = u32::from_str_radix(mode, 8).expect("an octal mode");
            fs::set_permissions(at(path), fs::Permissions::from_mode(mode))
        }
        "chown" => {
            let (uid, path) = two();
            std::os::unix::fs::lchown(at(path), Some(uid.parse().expect("a number")), None)
        }
        "mkdir" => fs::create_dir_all(at(rest)),
        "remove" => fs::remove_file(at(rest)),
        "move" => {
            let (path, to) = two();
            fs::rename(at(path), at(to))
        }
        "mkfifo" => node(&at(rest), FileType::Fifo, 0),
        // The same device as /dev/null: opening it is harmless.
        "device" => node(&at(rest), FileType::CharacterDevice, makedev(1, 3)),
        "socket" => node(&at(rest), FileType::Socket, 0),
        "symlink" => {
            let (target, path) = two();
            symlink(target, at(path))
        }
        "fill" => {
            let (size, path) = two();
            File::create(at(path))?.set_len(size.parse().expect("a number"))
        }
        "bytes" => {
            let (path, text) = two();
            fs::write(at(path), unescape(text))
        }
        "repeat" => {
            let (count, rest) = two();
            let (path, text) = rest.split_once(' ').expect("three arguments");
            fs::write(at(path), unescape(text).repeat(count.parse().expect("a number")))
        }
        other => panic!("there is no setup verb '{other}'"),
    }
}

fn node(path: &Path, kind: FileType, device: u64) -> std::io::Result<()> {
    Ok(mknodat(CWD, path, kind, Mode::from_raw_mode(0o644), device)?)
}

fn path_below(root: &Path, path: &str) -> PathBuf {
    root.join(OsString::from_vec(unescape(path)))
}

/// Decodes the escapes `\n`, `\r`, `\t`, `\0`, `\s`, `\\` and `\xHH`.
fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, byte == b'\\') {
            (byte, false) => byte,
            _ => match rest.next() {
                Some(b'n') => b'\n',
                Some(b'r') => b'\r',
                Some(b't') => b'\t',
                Some(b'0') => 0,
                Some(b's') => b' ',
                Some(b'\\') => b'\\',
                Some(b'x') => {
                    let digit =
                        |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16)).expect("two digits");
                    u8::try_from(digit(rest.next()) * 16 + digit(rest.next())).expect("at most 255")
                }
                other => panic!("there is no escape {other:?}"),
            },
        });
    }
    bytes
}
