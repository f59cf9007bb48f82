//! The colours of what the parser prints, which is before the options are known.

use std::ffi::OsString;

use clap::ColorChoice;

/// Returns what `--color` asks for, as far as it can be told from unparsed arguments.
pub(crate) fn choice(words: &[OsString]) -> ColorChoice {
    let words = words.iter().map(|word| word.to_string_lossy()).take_while(|word| word != "--");
    let words: Vec<_> = words.collect();
    let apart = words.windows(2).filter(|pair| pair[0] == "--color").map(|pair| &*pair[1]);
    let joined = words.iter().filter_map(|word| word.strip_prefix("--color="));
    match apart.chain(joined).last() {
        Some("never") => ColorChoice::Never,
        Some("always") => ColorChoice::Always,
        _ => ColorChoice::Auto,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_options_say() {
        for (line, expected) in [
            ("x list", ColorChoice::Auto),
            ("x --color never list --foo", ColorChoice::Never),
            ("x list --color=always", ColorChoice::Always),
            ("x run web -- --color never", ColorChoice::Auto),
            ("x list --color", ColorChoice::Auto),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(choice(&words), expected, "{line}");
        }
    }
}
