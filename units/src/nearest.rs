//! Suggests a known name for an unknown one.

/// Returns a reason with the name that may be meant.
pub(crate) fn with_meant(reason: &str, meant: Option<&str>) -> String {
    match meant {
        Some(meant) => format!("{reason} (did you mean '{meant}'?)"),
        None => reason.to_owned(),
    }
}

/// Returns the known name that may be meant by an unknown one.
pub fn nearest<'a>(unknown: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Comparing takes time in proportion to the product of both lengths.
    const LONGEST: usize = 64;
    if unknown.len() > LONGEST {
        return None;
    }
    let unknown = unknown.to_lowercase();
    names
        .map(|known| (strsim::damerau_levenshtein(&unknown, &known.to_lowercase()), known))
        .min()
        .filter(|(distance, known)| *distance <= (known.len() / 3).max(1))
        .map(|(_, known)| known)
}
