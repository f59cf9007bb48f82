//! Whether a program is statically linked: then its program headers name no interpreter (`elf(5)`).

use elf::ElfBytes;
use elf::abi::PT_INTERP;
use elf::endian::AnyEndian;

/// How a program is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Linking {
    /// Needs nothing but the kernel.
    Static,
    /// Needs an interpreter and libraries.
    Dynamic,
    /// Not a readable ELF program.
    Unknown,
}

/// Looks for an interpreter in the bytes of a program.
pub(crate) fn linking(bytes: &[u8]) -> Linking {
    let program = ElfBytes::<AnyEndian>::minimal_parse(bytes);
    match program.as_ref().ok().and_then(ElfBytes::segments) {
        Some(segments) if segments.iter().any(|segment| segment.p_type == PT_INTERP) => Linking::Dynamic,
        Some(_) => Linking::Static,
        None => Linking::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an ELF header with one program header of this type (`elf(5)`).
    fn program(wide: bool, kind: u32) -> Vec<u8> {
        let (size, offset, entry) = if wide { (64, 32, 56) } else { (52, 28, 32) };
        let mut bytes = vec![0; size + entry];
        bytes[..7].copy_from_slice(&[0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, 1, 1]);
        bytes[20] = 1;
        bytes[offset] = u8::try_from(size).unwrap();
        let counts = if wide { 54 } else { 42 };
        bytes[counts] = u8::try_from(entry).unwrap();
        bytes[counts + 2] = 1;
        bytes[size..size + 4].copy_from_slice(&kind.to_le_bytes());
        bytes
    }

    #[test]
    fn programs() {
        for wide in [false, true] {
            assert_eq!(linking(&program(wide, PT_INTERP)), Linking::Dynamic);
            assert_eq!(linking(&program(wide, 1)), Linking::Static);
            let whole = program(wide, PT_INTERP);
            assert_eq!(linking(&whole[..whole.len() - 1]), Linking::Unknown, "cut off");
        }
        assert_eq!(linking(b"#!/bin/sh"), Linking::Unknown);
        assert_eq!(linking(b"\x7fELF\x02\x01"), Linking::Unknown);
        // This program, as it was built.
        let own = if cfg!(target_feature = "crt-static") { Linking::Static } else { Linking::Dynamic };
        assert_eq!(linking(&std::fs::read(std::env::current_exe().unwrap()).unwrap()), own);
    }
}
