//! Every golden case: what the built generator makes of it is what its `expected` file says, and the promises that hold
//! whatever the input is hold for it. Cases are found by listing.

use nixos_nspawn_tests::golden::{compare, for_each_case};

#[test]
fn output_is_as_expected() {
    for_each_case(|case| compare(&case.expected(), &case.root().generate().text()));
}
