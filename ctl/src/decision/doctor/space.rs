//! Judges free space and inodes.

use crate::decision::doctor::verdict::{Check, Level, Verdict};
use crate::decision::doctor::words::{are, listed};
use crate::fact::doctor::seen::Seen;
use crate::fact::doctor::space::Space;

const CHECK: Check = Check::of_host("space");

/// Judges a file system.
pub(crate) fn space(seen: &Seen<Space>) -> Vec<Verdict> {
    let space = match seen {
        Ok(space) => space,
        Err(unseen) => return vec![Verdict::unseen(CHECK, unseen)],
    };
    let read_only = &space.read_only;
    let mut verdicts = Vec::new();
    if let Some(first) = read_only.first() {
        let text = format!(
            "{}: {} read-only, so nothing can be changed there",
            listed(read_only),
            are(read_only.len())
        );
        let next = format!("findmnt --target {first}; 'journalctl --dmesg' tells errors of a disk");
        verdicts.push(Verdict::warning(CHECK, text, next));
    }
    // Where nothing can be written, it does not matter what is free: an image is always full.
    if read_only.len() < space.places.len() {
        verdicts.push(free_space(space));
    }
    verdicts
}

fn free_space(space: &Space) -> Verdict {
    let Space { places, size, free, inodes, free_inodes, .. } = space;
    let on = listed(places);
    let next = match places.contains(&"/nix") {
        true => "nixos-nspawn delete-generations NAME old, then nix-collect-garbage",
        false => "delete something there, or make the file system larger",
    };
    let level = level(*free, *size, PLENTY).max(level(*free_inodes, *inodes, MANY));
    let bytes = format!("{} of {} are free", amount(*free), amount(*size));
    match level {
        Level::Ok => Verdict::ok(CHECK, format!("{on}: {bytes}")),
        _ if level_of_inodes(*free_inodes, *inodes) == level => {
            let text = format!("{on}: {free_inodes} of {inodes} inodes are free, so files may not be made");
            Verdict::at(level, CHECK, text, next)
        }
        level => Verdict::at(level, CHECK, format!("{on}: only {bytes}"), next),
    }
}

/// So many bytes are plenty, whatever the size.
const PLENTY: u64 = 10 << 30;

/// So many inodes are plenty.
const MANY: u64 = 1_000_000;

fn level_of_inodes(free: u64, all: u64) -> Level {
    level(free, all, MANY)
}

/// Less than 1 % is a failure, and less than 5 % a warning, unless that is plenty. What has no limit is never used up.
fn level(free: u64, all: u64, plenty: u64) -> Level {
    match all {
        0 => Level::Ok,
        _ if free >= plenty => Level::Ok,
        _ if free < all.div_ceil(100) => Level::Failure,
        _ if free < all.div_ceil(20) => Level::Warning,
        _ => Level::Ok,
    }
}

/// Returns a number of bytes for people.
fn amount(bytes: u64) -> String {
    let units = [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => {
            let tenths = (bytes >> (shift - 10)).saturating_mul(10) >> 10;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::doctor::seen::Unseen;

    #[test]
    fn amounts() {
        for (bytes, text) in
            [(0, "0 B"), (1536, "1.5 KiB"), (10 << 30, "10.0 GiB"), (u64::MAX, "16777215.9 TiB")]
        {
            assert_eq!(amount(bytes), text);
        }
    }

    #[test]
    fn what_is_left() {
        let gib = 1u64 << 30;
        let with = |free, size, free_inodes, inodes| Space {
            places: vec!["/nix", "/run"],
            read_only: Vec::new(),
            size,
            free,
            inodes,
            free_inodes,
        };
        for (seen, level, text) in [
            (with(50 * gib, 100 * gib, 0, 0), Level::Ok, "/nix and /run: 50.0 GiB of 100.0 GiB are free"),
            (with(4 * gib, 100 * gib, 0, 0), Level::Warning, "only 4.0 GiB"),
            (with(40 * gib, 1000 * gib, 0, 0), Level::Ok, "40.0 GiB"),
            (with(gib / 2, 100 * gib, 0, 0), Level::Failure, "only 512.0 MiB"),
            (with(0, gib, 0, 0), Level::Failure, "only 0 B"),
            (with(50 * gib, 100 * gib, 40, 1000), Level::Warning, "40 of 1000 inodes"),
            (with(50 * gib, 100 * gib, 0, 1000), Level::Failure, "0 of 1000 inodes"),
        ] {
            let verdict = &space(&Ok(seen))[0];
            assert!(verdict.level == level && verdict.text.contains(text), "{}", verdict.text);
            assert_eq!(verdict.next.is_some(), level != Level::Ok);
        }
        let unseen = Unseen { why: "x".into(), needs_root: false };
        assert_eq!(space(&Err(unseen))[0].level, Level::Warning);
        let some = Space { read_only: vec!["/nix"], ..with(50 * gib, 100 * gib, 0, 0) };
        let verdicts = space(&Ok(some));
        assert_eq!(verdicts[0].text, "/nix: is read-only, so nothing can be changed there");
        assert_eq!((verdicts.len(), verdicts[0].level, verdicts[1].level), (2, Level::Warning, Level::Ok));
        let image = Space { read_only: vec!["/nix", "/run"], ..with(0, gib, 0, 1000) };
        assert_eq!(space(&Ok(image)).len(), 1);
    }
}
