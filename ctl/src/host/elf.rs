//! Whether a program is static: it names no loader. The bytes of an ELF file go in, the answer comes out (`elf(5)`).

/// What kind of program the bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linking {
    /// It needs nothing but the kernel.
    Static,
    /// It needs a loader and libraries.
    Dynamic,
    /// It is no ELF program that we can read.
    Unknown,
}

const PT_INTERP: u32 = 3;

/// Looks through the program headers for PT_INTERP.
pub(crate) fn linking(bytes: &[u8]) -> Linking {
    scan(bytes).unwrap_or(Linking::Unknown)
}

fn scan(bytes: &[u8]) -> Option<Linking> {
    if bytes.get(..4)? != b"\x7fELF" {
        return None;
    }
    let wide = match bytes.get(4)? {
        1 => false,
        2 => true,
        _ => return None,
    };
    let little = *bytes.get(5)? == 1;
    let number = |at: usize, size: usize| {
        let field = bytes.get(at..at.checked_add(size)?)?;
        let digit = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(if little { field.iter().rev().fold(0, digit) } else { field.iter().fold(0, digit) })
    };
    // e_phoff, e_phentsize, e_phnum.
    let (table, size, count) = if wide {
        (number(32, 8)?, number(54, 2)?, number(56, 2)?)
    } else {
        (number(28, 4)?, number(42, 2)?, number(44, 2)?)
    };
    for index in 0..count {
        let header = usize::try_from(table.checked_add(index.checked_mul(size)?)?).ok()?;
        if number(header, 4)? == u64::from(PT_INTERP) {
            return Some(Linking::Dynamic);
        }
    }
    Some(Linking::Static)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs() {
        assert_eq!(linking(b"#!/bin/sh"), Linking::Unknown);
        assert_eq!(linking(b"\x7fELF\x02\x01"), Linking::Unknown);
        // The shell of every distribution this runs on is linked dynamically.
        assert_eq!(linking(&std::fs::read("/bin/sh").unwrap()), Linking::Dynamic);
    }
}
