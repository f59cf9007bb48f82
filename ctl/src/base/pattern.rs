//! Patterns of names.

/// Returns whether a name matches a pattern with `*` and `?`. Takes time in proportion to the product of their lengths.
pub(crate) fn is_like(name: &str, pattern: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // Whether the pattern so far matches the name's first characters.
    let mut matched = vec![false; name.len() + 1];
    matched[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; name.len() + 1];
        let mut any = false;
        for at in 0..=name.len() {
            any |= matched[at];
            let before = at > 0 && matched[at - 1];
            next[at] = match wanted {
                '*' => any,
                '?' => before,
                wanted => before && name[at - 1] == wanted,
            };
        }
        matched = next;
    }
    matched[name.len()]
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns() {
        for (name, pattern) in
            [("web", "web"), ("web", "w*"), ("web", "*"), ("web", "?e?"), ("web-1", "*-*"), ("a", "**a**")]
        {
            assert!(is_like(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in
            [("web", "we"), ("web", "e*"), ("web", "????"), ("web", ""), ("web", "*-*"), ("web", "[w]eb")]
        {
            assert!(!is_like(name, pattern), "{name} {pattern}");
        }
    }
}
