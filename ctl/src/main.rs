//! nixos-nspawn-ctl, also installed as nixos-nspawn. All code is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    nixos_nspawn_ctl::main()
}
