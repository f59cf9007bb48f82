//! Selects generations for `delete-generations`, as `nix-env --delete-generations` does. Pure.

use std::time::{Duration, SystemTime};

use anyhow::Result;

use crate::base::exit::Failed;

/// Which generations are meant, as in `nix-env --delete-generations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// Generations by number.
    Numbers(Vec<u64>),
    /// Keeps the current generation and the K−1 before it; newer ones stay as well.
    Newest(usize),
    /// Those that have not been current for this long.
    OlderThan(Duration),
    /// All but the current.
    Old,
}

/// Parses the arguments of the command line.
pub(crate) fn parse(words: &[String]) -> Result<Which> {
    let usage = |word: &str| {
        Failed::Usage(format!(
            "'{word}': is not a generation; use numbers, or one of +K (all but the newest K), 30d (older than 30 days) or old"
        ))
    };
    if let [word] = words {
        if word == "old" {
            return Ok(Which::Old);
        }
        if let Some(count) = word.strip_prefix('+') {
            let count: usize = digits(count).ok_or_else(|| usage(word))?;
            if count == 0 {
                let message = "'+0': at least one generation must be kept, nothing was deleted";
                return Err(Failed::Usage(message.to_owned()).into());
            }
            return Ok(Which::Newest(count));
        }
        if let Some(days) = word.strip_suffix('d') {
            let days: u32 = digits(days).filter(|days| *days > 0).ok_or_else(|| usage(word))?;
            return Ok(Which::OlderThan(Duration::from_secs(u64::from(days) * 24 * 60 * 60)));
        }
    }
    let numbers: Result<Vec<u64>, Failed> =
        words.iter().map(|word| digits(word).ok_or_else(|| usage(word))).collect();
    Ok(Which::Numbers(numbers?))
}

fn digits<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns the generations that a pattern selects, oldest first; as in Nix, the current one is never among them.
pub(crate) fn select(which: &Which, links: &[(u64, SystemTime)], current: u64, now: SystemTime) -> Vec<u64> {
    let newest_first = || links.iter().rev();
    let mut chosen: Vec<u64> = match which {
        Which::Numbers(numbers) => numbers.clone(),
        Which::Old => links.iter().map(|(number, _)| *number).collect(),
        Which::Newest(count) => {
            newest_first().filter(|(number, _)| *number <= current).skip(*count).map(|one| one.0).collect()
        }
        Which::OlderThan(age) => {
            let limit = now.checked_sub(*age).unwrap_or(SystemTime::UNIX_EPOCH);
            // The newest of the old ones was current at that time and stays, so that one can go back to it.
            newest_first().skip_while(|(_, made)| *made >= limit).skip(1).map(|one| one.0).collect()
        }
    };
    chosen.retain(|number| *number != current);
    chosen.sort_unstable();
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn which(words: &[&str]) -> Result<Which> {
        parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn words_are_those_of_nix_env() {
        assert_eq!(which(&["3", "1"]).unwrap(), Which::Numbers(vec![3, 1]));
        assert_eq!(which(&["+5"]).unwrap(), Which::Newest(5));
        assert_eq!(which(&["2d"]).unwrap(), Which::OlderThan(Duration::from_secs(172_800)));
        assert_eq!(which(&["old"]).unwrap(), Which::Old);
        for bad in
            [&["+0"][..], &["0d"], &["d"], &["+"], &["++1"], &["3x"], &["old", "1"], &["1", "+2"], &[""]]
        {
            assert_eq!(crate::base::exit::code(&which(bad).unwrap_err()), 2, "{bad:?}");
        }
    }

    #[test]
    fn patterns_select_as_in_nix() {
        let day = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400);
        let links: Vec<(u64, SystemTime)> = [1, 2, 4, 5, 6].iter().map(|n| (*n, day(*n))).collect();
        let select = |word: &str, current| select(&which(&[word]).unwrap(), &links, current, day(10));
        assert_eq!(select("old", 5), [1, 2, 4, 6]);
        assert_eq!(select("+1", 6), [1, 2, 4, 5]);
        assert_eq!(select("+2", 5), [1, 2], "the current counts, newer ones stay");
        assert_eq!(select("+9", 6), [0; 0]);
        // Generations 1, 2 and 4 are older than five days; 4 was current then.
        assert_eq!(select("5d", 6), [1, 2]);
        assert_eq!(select("5d", 1), [2], "never the current");
        assert_eq!(select("400d", 6), [0; 0]);
        assert_eq!(select("1d", 5), [1, 2, 4]);
    }
}
