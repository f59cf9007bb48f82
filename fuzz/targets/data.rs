//! Options in a built profile, of this program or of python-nixos-nspawn, are either read or refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nixos_nspawn_units::intent::parse_data;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(reading) = parse_data(bytes) {
        for warning in reading.warnings {
            assert!(!warning.to_string().is_empty());
        }
    }
});
