//! Commands for other hosts (`--host`): each host runs the same command by its own program, over ssh. One host has the terminal
//! to itself; [`several`] work side by side.

mod list_table;
mod one_table;
pub(super) mod several;
mod updates_table;

use std::io::{IsTerminal, stdin, stdout};
use std::path::Path;

use anyhow::Result;

use crate::base::call::Messages;
use crate::base::context::Context;
use crate::base::exec::exec;
use crate::base::exit::Failed;
use crate::base::remote::{Rights, Target, line, listed, words};
use crate::cli::{Command, Global};
use crate::command::built_here::{ForHost, copy, for_host, not_copied};
use crate::host::files::read_small;
use crate::host::ssh;

/// How many hosts work at the same time, unless `--jobs` says so.
const AT_ONCE: usize = 8;

/// Returns the hosts that a command line names, each once.
pub(super) fn targets(global: &Global) -> Result<Vec<Target>> {
    let usage = |why: String| Failed::Usage(format!("{why}, nothing was changed"));
    let mut all = Vec::new();
    let named = !global.hosts.is_empty() || global.hosts_file.is_some();
    if named && global.root != Path::new("/") {
        let root = global.root.display();
        return Err(
            usage(format!("--root {root} is a tree of this host, so it does not go with --host")).into()
        );
    }
    for given in &global.hosts {
        all.push(Target::parse(given).map_err(|why| usage(format!("--host: {why}")))?);
    }
    if let Some(path) = &global.hosts_file {
        let bytes = read_small(path).map_err(|error| usage(format!("{}: {error}", path.display())))?;
        let text = String::from_utf8_lossy(&bytes);
        let found = listed(&text).map_err(|why| usage(format!("{}:{why}", path.display())))?;
        if found.is_empty() {
            return Err(usage(format!("{}: names no host", path.display())).into());
        }
        all.extend(found);
    }
    let mut once: Vec<Target> = Vec::new();
    for target in all {
        if !once.contains(&target) {
            once.push(target);
        }
    }
    Ok(once)
}

/// Runs the command line of this process on other hosts.
pub(super) fn run(context: &Context, targets: &[Target], command: &Command) -> Result<()> {
    let given = std::env::args_os().skip(1).map(|word| {
        let why = || Failed::Usage("with --host, every word must be UTF-8, nothing was changed".to_owned());
        Ok(word.into_string().map_err(|_| why())?)
    });
    let words = words(&given.collect::<Result<Vec<String>>>()?);
    absolute(command)?;
    let jobs = match command {
        Command::Update(update) => update.several.jobs,
        Command::Apply(apply) => apply.several.jobs,
        _ => None,
    };
    match targets {
        [target] => alone(context, target, command, &words),
        _ => several::run(context, targets, (command, &words), jobs.map_or(AT_ONCE, usize::from)),
    }
}

/// Refuses a relative source of a bind mount, which would mean another place there.
fn absolute(command: &Command) -> Result<()> {
    let overrides = match command {
        Command::Create(create) => &create.overrides,
        Command::Update(update) => &update.overrides,
        Command::Plan(plan) => &plan.overrides,
        _ => return Ok(()),
    };
    match overrides.bind.iter().chain(&overrides.bind_ro).find(|mount| !mount.starts_with('/')) {
        Some(mount) => {
            let why =
                format!("--bind {mount}: is relative, nothing was changed; with --host, give the path there");
            Err(Failed::Usage(why).into())
        }
        None => Ok(()),
    }
}

/// Runs it on one host, in place of this process: the terminal, the output and the exit status are those of the command there.
fn alone(context: &Context, target: &Target, command: &Command, words: &[String]) -> Result<()> {
    let asks = stdin().is_terminal();
    ssh::check(target, ssh::question(context, target, asks).ended_with(Messages::Kept))?;
    let ForHost { words, paths } = for_host(context, target, command, words, asks)?;
    if !paths.is_empty() {
        copy(context, target, &paths, asks)?.output().map_err(|error| not_copied(target, &error))?;
    }
    let terminal = asks && stdout().is_terminal();
    let rights = if terminal { Rights::Asking } else { Rights::Silent };
    let there = ssh::words(target, terminal, asks, &line(&words, rights));
    exec(context, &[vec!["ssh".to_owned()], there].concat())
}
