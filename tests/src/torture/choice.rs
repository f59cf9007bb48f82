//! Chooses what is tested, by a list of words in an environment variable.

/// Returns the known words in a list, or all of them without a list. Refuses unknown ones, since nothing would be
/// tested.
pub fn chosen(variable: &str, list: Option<&str>, known: &[String]) -> Result<Vec<String>, String> {
    let Some(list) = list else { return Ok(known.to_vec()) };
    let find = |word: &str| {
        let found = known.iter().find(|one| one.eq_ignore_ascii_case(word)).cloned();
        found.ok_or_else(|| format!("{variable}: '{word}' is none of {}", known.join(", ")))
    };
    list.split(',').map(find).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_words_are_refused() {
        let known = ["trixie", "forky"].map(str::to_owned);
        assert_eq!(chosen("SUITES", None, &known).unwrap(), known);
        assert_eq!(chosen("SUITES", Some("Forky"), &known).unwrap(), ["forky"]);
        for list in ["", "trixi", "trixie,", "trixie forky"] {
            assert!(chosen("SUITES", Some(list), &known).unwrap_err().starts_with("SUITES: '"), "{list}");
        }
    }
}
