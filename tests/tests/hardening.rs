//! Checks how the programs are linked: statically, so that they run before /nix is mounted, and with all
//! relocations read-only after the start.

use std::process::Command;

use nixos_nspawn_tests::host::bins;

fn readelf(words: &[&str]) -> String {
    let output = Command::new("readelf").args(words).output().expect("readelf");
    assert!(output.status.success(), "{words:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn programs_are_static_and_read_only_after_start() {
    for program in [&bins().generator, &bins().ctl] {
        let path = program.to_str().expect("UTF-8");
        let header = readelf(&["-hW", path]);
        assert!(
            header.contains("DYN (Position-Independent Executable") || header.contains("DYN (Shared object"),
            "{header}"
        );
        let segments = readelf(&["-lW", path]);
        assert!(!segments.contains("INTERP"), "{segments}");
        assert!(segments.contains("GNU_RELRO"), "{segments}");
        let stack = segments.lines().find(|line| line.contains("GNU_STACK")).expect("GNU_STACK");
        assert!(!stack.contains("RWE"), "{stack}");
        let dynamic = readelf(&["-dW", path]);
        assert!(!dynamic.contains("NEEDED"), "{dynamic}");
        let flags: Vec<&str> = dynamic.lines().filter(|line| line.contains("FLAGS")).collect();
        assert!(flags.iter().any(|line| line.contains("NOW")), "{dynamic}");
        assert!(flags.iter().any(|line| line.contains("PIE")), "{dynamic}");
    }
}
