//! The hash that tells whether a container's settings changed.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher24};

use systemd_unit_syntax::{Item, UnitFile};

/// Returns the hash over the settings of all files. With equal hashes, systemd and nspawn do the same.
pub(super) fn plan_hash<'a>(files: impl Iterator<Item = &'a UnitFile>) -> String {
    let mut text = String::with_capacity(4096);
    for file in files {
        for section in &file.sections {
            // No name or value contains a line break, so no two lists of settings look the same.
            let name = [section.name.as_str(), "\n"].concat();
            for item in &section.items {
                let Item::Setting { key, value } = item else { continue };
                text.reserve(name.len() + key.len() + value.len() + 2);
                text.push_str(&name);
                text.push_str(key);
                text.push('\n');
                text.push_str(value);
                text.push('\n');
            }
        }
        text.push('\0');
    }
    let mut hasher = SipHasher24::new();
    hasher.write(text.as_bytes());
    let hash = hasher.finish128();
    format!("{:016x}{:016x}", hash.h1, hash.h2)
}
