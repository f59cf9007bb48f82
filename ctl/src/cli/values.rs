//! Parses values of arguments, for all commands.

/// The value of `--allow-host-changes` without a token.
pub(crate) const ANY_REACH: &str = "any";

/// Parses a token that `plan` prints, or [`ANY_REACH`]. An empty value is refused, since it may come from an unset
/// variable of a script.
pub(super) fn reach_token(text: &str) -> Result<String, String> {
    let well = text == ANY_REACH || text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if well {
        Ok(text.to_lowercase())
    } else {
        Err("a token has 16 hexadecimal digits, see 'plan'".to_owned())
    }
}

/// Parses a generation number.
pub(super) fn generation(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        "not the number of a generation; 'nixos-nspawn list-generations NAME' shows all".to_owned()
    })
}
