//! `delete-generations`: as nix-env does it, but never the current, the running or a pinned generation. Numbers or a
//! pattern go in; named protected ones refuse the whole, a pattern passes over them and says so. Links go, nothing of
//! the store: that is the garbage collector's.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use nixos_nspawn_units::name::MachineName;
use serde::Serialize;

use crate::cli::DeleteGenerations;
use crate::context::{Context, imperative, machine_name};
use crate::exit::{Failed, refuse};
use crate::forget::{lock_settled, repair};
use crate::generations::{Generation, generations, profile_link};
use crate::list_generations::numbered;
use crate::nix::{self, Nix};
use crate::output::answer;

/// Which generations are meant, as in `nix-env --delete-generations`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Which {
    /// These.
    Numbers(Vec<u64>),
    /// All but the current and the so many before it, itself counted; newer ones stay.
    Newest(usize),
    /// All that were not current any more so long ago.
    OlderThan(Duration),
    /// All but the current.
    Old,
}

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &DeleteGenerations) -> Result<()> {
    let name = machine_name(&arguments.name)?;
    let which = parse(&arguments.generations)?;
    only_live(context, "delete-generations")?;
    if arguments.dry_run {
        return delete(context, &name, &which, true);
    }
    context.need_root("delete-generations")?;
    repair(context);
    let _lock = lock_settled(context, &name)?;
    delete(context, &name, &which, false)
}

/// Refuses to work on a tree: no Nix serves one.
pub(crate) fn only_live(context: &Context, command: &str) -> Result<()> {
    if context.live() {
        return Ok(());
    }
    refuse(format!("{command} works on the running system only, nothing was changed; leave out --root"))
}

fn delete(context: &Context, name: &MachineName, which: &Which, dry_run: bool) -> Result<()> {
    let loaded = context.load();
    let intent = imperative(&loaded, name)?;
    let link = profile_link(context, name, intent);
    // A profile named by hand may be anybody's.
    if link.parent().and_then(|folder| folder.file_name()) != Some(name.as_str().as_ref()) {
        return refuse(format!(
            "{}: is not in a folder '{name}', so it may not be the container's alone, nothing was changed; use \
             nix-env --profile {} --delete-generations",
            link.display(),
            link.display()
        ));
    }
    let all = generations(context, name, intent);
    let stands_at = nix::generation(&context.path(&link)).ok();
    let chosen = match which {
        Which::Numbers(numbers) => {
            for number in numbers {
                let one = numbered(&all, name, *number)?;
                if let Some(why) = protection(one, stands_at) {
                    return refuse(format!(
                        "generation {number} of container '{name}' is {why}, nothing was deleted{}",
                        remedy(one, name)
                    ));
                }
            }
            numbers.clone()
        }
        _ => {
            // Those that only a pin keeps are not in the profile.
            let links: Vec<(u64, SystemTime)> =
                all.iter().filter_map(|one| Some((one.number, one.made?))).collect();
            let Some(current) = intent.generation.or(stands_at) else {
                return refuse(format!(
                    "{}: stands at no generation, nothing was deleted; name the generations by number",
                    link.display()
                ));
            };
            select(which, &links, current, SystemTime::now())
        }
    };
    let mut deleted = Deleted { name, dry_run, deleted: Vec::new(), kept: Vec::new() };
    for one in all.iter().filter(|one| chosen.contains(&one.number)) {
        match protection(one, stands_at) {
            Some(reason) => deleted.kept.push(Kept { generation: one.number, reason }),
            None => deleted.deleted.push(one.number),
        }
    }
    if !dry_run && !deleted.deleted.is_empty() {
        Nix::find(context)?.delete_generations(&link, &deleted.deleted)?;
    }
    answer(context, &deleted, Deleted::text)
}

/// What was or would be deleted, as scripts see it.
#[derive(Debug, Serialize)]
struct Deleted<'a> {
    name: &'a MachineName,
    /// Whether nothing was done.
    dry_run: bool,
    deleted: Vec<u64>,
    /// What a pattern covers and is protected.
    kept: Vec<Kept>,
}

/// A protected generation.
#[derive(Debug, Serialize)]
struct Kept {
    generation: u64,
    reason: &'static str,
}

impl Deleted<'_> {
    fn text(&self) -> String {
        let Self { name, dry_run, deleted, kept } = self;
        let kept = kept
            .iter()
            .map(|Kept { generation, reason }| format!("generation {generation} is {reason}, it is kept"));
        let done = if *dry_run { "would delete" } else { "deleted" };
        let mut lines: Vec<String> = kept.collect();
        lines
            .extend(deleted.iter().map(|number| format!("{done} generation {number} of container '{name}'")));
        if deleted.is_empty() {
            lines.push(format!("container '{name}' has no generation to delete"));
        }
        lines.join("\n") + "\n"
    }
}

/// Why a generation must stay.
fn protection(one: &Generation, stands_at: Option<u64>) -> Option<&'static str> {
    match one {
        Generation { current: true, .. } => Some("current"),
        Generation { running: true, .. } => Some("running"),
        Generation { pinned: true, .. } => Some("pinned"),
        // Profile and intent may differ for a moment; nix-env would refuse this one.
        Generation { number, .. } if stands_at == Some(*number) => Some("what the profile stands at"),
        _ => None,
    }
}

fn remedy(one: &Generation, name: &MachineName) -> String {
    match one {
        Generation { current: true, .. } => "; 'nixos-nspawn rollback' makes another one current".to_owned(),
        Generation { running: true, .. } => format!("; restart systemd-nspawn@{name} first"),
        Generation { pinned: true, number, .. } => {
            format!("; 'nixos-nspawn unpin {name} {number}' first")
        }
        _ => String::new(),
    }
}

/// What was given on the command line.
fn parse(words: &[String]) -> Result<Which> {
    let usage = |word: &str| {
        Failed::Usage(format!(
            "'{word}': is no generation; give numbers, or one of +K (all but the newest K), 30d (older than 30 days) or old"
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

/// What a pattern covers of the profile's links, oldest first; as Nix does it, the current is never in it.
fn select(which: &Which, links: &[(u64, SystemTime)], current: u64, now: SystemTime) -> Vec<u64> {
    let newest_first = || links.iter().rev();
    let mut chosen: Vec<u64> = match which {
        Which::Numbers(numbers) => numbers.clone(),
        Which::Old => links.iter().map(|(number, _)| *number).collect(),
        Which::Newest(count) => {
            newest_first().filter(|(number, _)| *number <= current).skip(*count).map(|one| one.0).collect()
        }
        Which::OlderThan(age) => {
            let limit = now.checked_sub(*age).unwrap_or(SystemTime::UNIX_EPOCH);
            // The newest of the old ones was in force at that time: one must be able to go back to it.
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
    fn words_as_nix_env_takes_them() {
        assert_eq!(which(&["3", "1"]).unwrap(), Which::Numbers(vec![3, 1]));
        assert_eq!(which(&["+5"]).unwrap(), Which::Newest(5));
        assert_eq!(which(&["2d"]).unwrap(), Which::OlderThan(Duration::from_secs(172_800)));
        assert_eq!(which(&["old"]).unwrap(), Which::Old);
        for bad in
            [&["+0"][..], &["0d"], &["d"], &["+"], &["++1"], &["3x"], &["old", "1"], &["1", "+2"], &[""]]
        {
            assert_eq!(crate::exit::code(&which(bad).unwrap_err()), 2, "{bad:?}");
        }
    }

    #[test]
    fn patterns_as_nix_does_them() {
        let day = |days: u64| SystemTime::UNIX_EPOCH + Duration::from_secs(days * 86_400);
        let links: Vec<(u64, SystemTime)> = [1, 2, 4, 5, 6].iter().map(|n| (*n, day(*n))).collect();
        let select = |word: &str, current| select(&which(&[word]).unwrap(), &links, current, day(10));
        assert_eq!(select("old", 5), [1, 2, 4, 6]);
        assert_eq!(select("+1", 6), [1, 2, 4, 5]);
        assert_eq!(select("+2", 5), [1, 2], "the current counts, newer ones stay");
        assert_eq!(select("+9", 6), [0; 0]);
        // Older than the fifth day are 1, 2 and 4; 4 was in force then.
        assert_eq!(select("5d", 6), [1, 2]);
        assert_eq!(select("5d", 1), [2], "never the current");
        assert_eq!(select("400d", 6), [0; 0]);
        assert_eq!(select("1d", 5), [1, 2, 4]);
    }
}
