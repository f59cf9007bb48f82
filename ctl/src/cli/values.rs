//! Parses values of arguments, for all commands.

use nixos_nspawn_units::version::OLDEST;

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

/// Parses a version of systemd.
pub(super) fn systemd_version(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(version) if version >= OLDEST => Ok(version),
        Ok(_) => Err(format!("systemd {OLDEST} is the oldest that is supported")),
        Err(_) => Err(format!("not a version of systemd, such as {OLDEST}")),
    }
}

/// Parses a generation number.
pub(super) fn generation(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        "not the number of a generation; 'nixos-nspawn list-generations NAME' shows all".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_systemd() {
        assert_eq!(systemd_version("257"), Ok(257));
        assert_eq!(systemd_version("200").unwrap_err(), "systemd 257 is the oldest that is supported");
        assert_eq!(systemd_version("new").unwrap_err(), "not a version of systemd, such as 257");
    }
}
