//! Temporary file systems mounted inside, with their options.

use crate::invalid::{Invalid, shown};
use crate::string_type::string_type;
use crate::value::AbsolutePath;
use systemd_unit_syntax::words::first_field;

string_type! {
    /// A temporary file system, `PATH[:OPTION,…]` with options of `tmpfs(5)` (`TemporaryFileSystem=` of
    /// `systemd.nspawn(5)`). A `\` escapes a `:` or `\` of the path.
    Tmpfs, check_tmpfs, r"^/[^\x00-\x1f\x7f]+$"
}

/// The options of `tmpfs(5)` and of any mount: those without a value, and those with one.
const FLAGS: [&str; 25] = [
    "async",
    "atime",
    "casefold",
    "dev",
    "diratime",
    "dirsync",
    "exec",
    "inode32",
    "inode64",
    "lazytime",
    "noatime",
    "nodev",
    "nodiratime",
    "noexec",
    "norelatime",
    "nostrictatime",
    "nosuid",
    "noswap",
    "relatime",
    "ro",
    "rw",
    "strictatime",
    "suid",
    "sync",
    "nosymfollow",
];
const VALUED: [&str; 8] = ["gid", "huge", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid"];

fn check_tmpfs(text: &str) -> Result<(), Invalid> {
    let refuse =
        |reason: String| Err(Invalid::new(text, format!("is not a temporary file system: {reason}")));
    let (path, options) = match first_field(text) {
        Ok(fields) => fields,
        Err(error) => return refuse(error.to_string()),
    };
    if let Err(error) = path.parse::<AbsolutePath>() {
        return refuse(format!("the path {error}"));
    }
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        let known = match option.split_once('=') {
            Some((name, value)) => {
                if VALUED.contains(&name) && !is_value(name, value) {
                    return refuse(format!("option '{name}' cannot be '{}' (tmpfs(5))", shown(value)));
                }
                VALUED.contains(&name)
            }
            None => FLAGS.contains(&option),
        };
        if !known {
            return refuse(format!("option '{}' is not known (tmpfs(5))", shown(option)));
        }
    }
    Ok(())
}

/// Returns whether the kernel accepts the value of an option (`shmem_parse_one()`, mm/shmem.c). Numbers are decimal
/// here: the kernel reads one with a leading zero as octal.
fn is_value(name: &str, value: &str) -> bool {
    let number = |text: &str| {
        let digits = (1..=15).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits && (text == "0" || !text.starts_with('0'))
    };
    let amount = |text: &str| number(text.strip_suffix(|c: char| "kKmMgGtTpPeE".contains(c)).unwrap_or(text));
    match name {
        "size" => {
            amount(value) || value.strip_suffix('%').is_some_and(|share| share.len() < 4 && number(share))
        }
        "nr_blocks" | "nr_inodes" => amount(value),
        "mode" => (1..=5).contains(&value.len()) && value.bytes().all(|b| (b'0'..=b'7').contains(&b)),
        "uid" | "gid" => number(value) && value.parse::<u32>().is_ok_and(|id| id != u32::MAX),
        "huge" => ["never", "always", "within_size", "advise"].contains(&value),
        // A policy, and nodes that exist: 'bind=static:0-3'.
        _ => !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"=:-".contains(&b)),
    }
}

impl Tmpfs {
    /// Returns where it is mounted.
    pub fn path(&self) -> String {
        first_field(self.as_str()).map(|(path, _)| path).unwrap_or_default()
    }

    /// Returns its options as written.
    pub fn options(&self) -> Option<&str> {
        first_field(self.as_str()).ok()?.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_file_systems() {
        let tmpfs = |text: &str| {
            text.parse::<Tmpfs>().map(|tmpfs| (tmpfs.path(), tmpfs.options().map(str::to_owned)))
        };
        assert_eq!(tmpfs("/scratch"), Ok(("/scratch".to_owned(), None)));
        let full = tmpfs("/a b:size=10%,mode=1777,nosuid").expect("good");
        assert_eq!(full, ("/a b".to_owned(), Some("size=10%,mode=1777,nosuid".to_owned())));
        assert_eq!(tmpfs(r"/a\:b").expect("good").0, "/a:b");
        for good in [
            "size=0",
            "size=1500M",
            "nr_inodes=10k",
            "mode=0755",
            "uid=1000,gid=100",
            "huge=within_size",
            "mpol=bind:0-1",
        ] {
            assert!(tmpfs(&format!("/a:{good}")).is_ok(), "{good}");
        }
        for bad in [
            "",
            "scratch",
            "/a/../b",
            "/a:",
            "/a:size",
            "/a:lots",
            "/a:size=1M,",
            "/a:size=1M nosuid",
            "/a:size=",
            "/a:size=much",
            "/a:size=010%",
            "/a:size=1M%",
            "/a:nr_inodes=0x10",
            "/a:mode=888",
            "/a:uid=root",
            "/a:uid=4294967295",
            "/a:gid=010",
            "/a:huge=yes",
        ] {
            assert!(tmpfs(bad).is_err(), "{bad:?}");
        }
    }
}
