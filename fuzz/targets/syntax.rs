//! A parsed file in systemd's format survives a round trip.
#![no_main]

use libfuzzer_sys::fuzz_target;
use systemd_unit_syntax::parse;

fuzz_target!(|bytes: &[u8]| {
    let Ok(parsed) = parse(bytes) else { return };
    if parsed.file.check().is_err() {
        return;
    }
    let text = parsed.file.to_string();
    let again = parse(text.as_bytes()).expect("what was written can be read");
    assert_eq!(again.file.without_comments(), parsed.file.without_comments(), "{text}");
});
