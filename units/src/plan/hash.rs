//! The hash that tells whether a container's settings changed.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use systemd_unit_syntax::{Item, UnitFile};

/// Returns the hash over the settings of all files. With equal hashes, systemd and nspawn do the same.
pub(super) fn plan_hash<'a>(files: impl Iterator<Item = &'a UnitFile>) -> String {
    let mut hasher = SipHasher24::new();
    // What is hashed, a section at a time: the hasher is slow with short pieces, the allocator with a long text.
    let mut text = String::with_capacity(1024);
    for file in files {
        for section in &file.sections {
            for item in &section.items {
                let Item::Setting { key, value } = item else { continue };
                // None of them contains a line break, so no two lists of settings look the same.
                for part in [&section.name, key, value] {
                    text.push_str(part);
                    text.push('\n');
                }
            }
            hasher.write(text.as_bytes());
            text.clear();
        }
        hasher.write(b"\0");
    }
    let hash = hasher.finish128();
    format!("{:016x}{:016x}", hash.h1, hash.h2)
}
