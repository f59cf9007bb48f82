//! nixos-nspawn-ctl, also installed as nixos-nspawn. All of it is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    nixos_nspawn_ctl::main()
}
