//! Patterns of names.

/// A part of a pattern.
enum Part {
    /// `*`: any text.
    Any,
    /// `?`: any character.
    One,
    /// The character itself.
    Just(char),
    /// `[…]`: a character in one of the ranges, or in none of them.
    Set { negated: bool, ranges: Vec<(char, char)> },
}

/// Returns whether a name matches a pattern with `*`, `?` and sets as in glob(7), such as `[a-c]` and `[!a-c]`. Takes time
/// in proportion to the product of their lengths.
pub(crate) fn is_like(name: &str, pattern: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    // Whether the pattern so far matches the name's first characters.
    let mut matched = vec![false; name.len() + 1];
    matched[0] = true;
    for wanted in parts(pattern) {
        let mut next = vec![false; name.len() + 1];
        let mut any = false;
        for at in 0..=name.len() {
            any |= matched[at];
            let before = at > 0 && matched[at - 1];
            next[at] = match &wanted {
                Part::Any => any,
                Part::One => before,
                Part::Just(wanted) => before && name[at - 1] == *wanted,
                Part::Set { negated, ranges } => {
                    let is_in = |c| ranges.iter().any(|(first, last)| (*first..=*last).contains(&c));
                    before && is_in(name[at - 1]) != *negated
                }
            };
        }
        matched = next;
    }
    matched[name.len()]
}

fn parts(pattern: &str) -> Vec<Part> {
    let pattern: Vec<char> = pattern.chars().collect();
    let mut parts = Vec::new();
    let mut at = 0;
    // If one set is not closed, no later one is.
    let mut closed = true;
    while let Some(&wanted) = pattern.get(at) {
        at += 1;
        parts.push(match wanted {
            '*' => Part::Any,
            '?' => Part::One,
            '[' if closed => match set(&pattern[at..]) {
                Some((set, length)) => {
                    at += length;
                    set
                }
                None => {
                    closed = false;
                    Part::Just('[')
                }
            },
            wanted => Part::Just(wanted),
        });
    }
    parts
}

/// Returns the set that begins behind a `[`, and its length; `None` if it is not closed, for then the bracket means itself.
fn set(rest: &[char]) -> Option<(Part, usize)> {
    let negated = matches!(rest.first(), Some('!' | '^'));
    let from = usize::from(negated);
    // A bracket that comes first is a member.
    let end = from + 1 + rest.get(from + 1..)?.iter().position(|c| *c == ']')?;
    let mut members = &rest[from..end];
    let mut ranges = Vec::new();
    while let [first, others @ ..] = members {
        members = match others {
            ['-', last, others @ ..] => {
                ranges.push((*first, *last));
                others
            }
            others => {
                ranges.push((*first, *first));
                others
            }
        };
    }
    Some((Part::Set { negated, ranges }, end + 1))
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::is_like;

    #[test]
    fn patterns() {
        for (name, pattern) in [
            ("web", "web"),
            ("web", "w*"),
            ("web", "*"),
            ("web", "?e?"),
            ("web-1", "*-*"),
            ("a", "**a**"),
            ("web", "[w]eb"),
            ("web-2", "web-[1-3]"),
            ("web-4", "web-[!1-3]"),
            ("web-4", "web-[^1-3]"),
            ("a-b", "a[x-]b"),
            ("a-b", "a[-x]b"),
            ("a]b", "a[]]b"),
            ("a!b", "a[x!]b"),
            ("a[b", "a[b"),
            // Behind a bracket that is not closed, none is.
            ("[[[", "[[["),
            ("a[b[c", "?[b[*"),
            ("[]", "[]"),
            ("web", "[a-z]*[!0-9]"),
        ] {
            assert!(is_like(name, pattern), "{name} {pattern}");
        }
        for (name, pattern) in [
            ("web", "we"),
            ("web", "e*"),
            ("web", "????"),
            ("web", ""),
            ("web", "*-*"),
            ("web", "[!w]eb"),
            ("web", "[x-z]eb"),
            ("web", "[z-a]eb"),
            ("web", "web[a]"),
            ("web", "[web]"),
            ("a]b", "a[!]]b"),
            ("web", "[web"),
        ] {
            assert!(!is_like(name, pattern), "{name} {pattern}");
        }
    }

    /// Of each bracket, the rest of the pattern is looked at once more, unless none is closed there.
    #[test]
    fn brackets_take_linear_time() {
        let taken = |count: usize| {
            let patterns = ["[", "*[a-", "[!"].map(|part| part.repeat(count));
            let run = || {
                let start = Instant::now();
                patterns.iter().for_each(|pattern| assert!(!is_like("a", pattern)));
                start.elapsed()
            };
            (0..5).map(|_| run()).min().unwrap()
        };
        // The square would be sixteen times as much.
        let (few, many) = (taken(20_000), taken(80_000));
        assert!(many < few * 10, "{few:?} and {many:?}");
    }
}
