//! Commands for other hosts (`--host`): each host runs the same command by its own program, over ssh. One host has the terminal
//! to itself; several work side by side, and a host that cannot be reached fails alone.

use std::io::{IsTerminal, stdin, stdout};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use serde::Serialize;
use serde_json::Value;

use crate::base::call::{Ended, Messages};
use crate::base::context::Context;
use crate::base::exec::exec;
use crate::base::exit::Failed;
use crate::base::output::{Tone, painted};
use crate::base::program::{Program, run_all};
use crate::base::remote::{Rights, Target, line, listed, words};
use crate::base::table::{Cell, table};
use crate::cli::{Command, Global};
use crate::command::built_here::{ForHost, copy, for_host};
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
        _ => side_by_side(context, targets, (command, &words), jobs.map_or(AT_ONCE, usize::from)),
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

/// Returns the failure of a copy.
fn not_copied(target: &Target, why: &Error) -> Error {
    Failed::Program(format!(
        "{target}: what was built could not be copied there, nothing was changed: {why:#}"
    ))
    .into()
}

/// What a host answered.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct OfHost {
    /// The host, as it was given.
    host: String,
    /// The exit status of the command there; null if it was not run, or if the connection was lost meanwhile.
    exit_status: Option<i32>,
    /// What the command prints there with `--json`; null if that is nothing.
    answer: Value,
    /// What went wrong.
    error: Option<String>,
    /// How long it took.
    seconds: f64,
    #[serde(skip)]
    output: String,
    /// Whether the connection was lost, so that the command may still run there.
    #[serde(skip)]
    lost: bool,
}

/// Runs it on several hosts, and shows the output of each as a whole, and a table.
fn side_by_side(
    context: &Context,
    targets: &[Target],
    (command, words): (&Command, &[String]),
    jobs: usize,
) -> Result<()> {
    let mut hosts: Vec<Work> = targets.iter().map(Work::new).collect();
    // The versions first, so that nothing happens on a host that does not understand the command.
    step(
        &mut hosts,
        jobs,
        |work| Ok(Some(ssh::question(context, work.target, false))),
        |work, ended| ssh::check(work.target, ended),
    );
    for work in hosts.iter_mut().filter(|work| work.result.is_none()) {
        match for_host(context, work.target, command, words, false) {
            Ok(needed) => work.needed = Some(needed),
            Err(error) => work.fails(&error),
        }
    }
    step(
        &mut hosts,
        jobs,
        |work| match &work.needed {
            Some(ForHost { paths, .. }) if !paths.is_empty() => {
                copy(context, work.target, paths, false).map(Some)
            }
            _ => Ok(None),
        },
        |work, ended| match ended {
            Ok(ended) if ended.status.success() => Ok(()),
            Ok(ended) => Err(not_copied(work.target, &Error::msg(ended.stderr.trim().to_owned()))),
            Err(error) => Err(not_copied(work.target, &error)),
        },
    );
    step(
        &mut hosts,
        jobs,
        |work| {
            Ok(work
                .needed
                .as_ref()
                .map(|needed| ssh::call(context, work.target, &needed.words, Rights::Silent, false)))
        },
        |work, ended| {
            work.result = Some(answered(work.target, ended, context.json, work.ended - work.begun));
            Ok(())
        },
    );
    let results: Vec<OfHost> = hosts.into_iter().filter_map(|work| work.result).collect();
    for one in results.iter().filter(|one| one.exit_status.is_none()) {
        context.screen.tell(one.error.as_deref().unwrap_or_default());
    }
    let failed = results.iter().any(|one| one.exit_status != Some(0));
    if context.json {
        context.screen.print_json(&results)?;
    } else {
        for one in results.iter().filter(|one| !one.output.is_empty()) {
            let head = painted(&one.host, Tone::Strong, context.color);
            context.screen.print(&format!("{head}\n{}\n\n", one.output.trim_end()))?;
        }
        context.screen.print(&summary(&results, context.color))?;
    }
    if failed { Err(Failed::Silent.into()) } else { Ok(()) }
}

/// What is done for a host.
struct Work<'a> {
    target: &'a Target,
    begun: Instant,
    /// When its last program ended.
    ended: Instant,
    needed: Option<ForHost>,
    /// Set when nothing is left to do.
    result: Option<OfHost>,
}

impl<'a> Work<'a> {
    fn new(target: &'a Target) -> Self {
        let now = Instant::now();
        Self { target, begun: now, ended: now, needed: None, result: None }
    }

    fn fails(&mut self, error: &Error) {
        let why = Some(format!("{error:#}"));
        self.result = Some(of_host(self.target, None, String::new(), why, self.ended - self.begun));
    }
}

/// Runs a program for each host for which something is left to do, side by side.
fn step<'a>(
    hosts: &mut [Work<'a>],
    jobs: usize,
    program: impl Fn(&Work<'a>) -> Result<Option<Program<'a>>>,
    end: impl Fn(&mut Work<'a>, Result<Ended>) -> Result<()>,
) {
    let (mut calls, mut of) = (Vec::new(), Vec::new());
    for (at, work) in hosts.iter_mut().enumerate().filter(|(_, work)| work.result.is_none()) {
        match program(work) {
            Ok(Some(call)) => {
                calls.push(call);
                of.push(at);
            }
            Ok(None) => {}
            Err(error) => work.fails(&error),
        }
    }
    let all: Mutex<Vec<(usize, Result<Ended>, Instant)>> = Mutex::default();
    run_all(calls, jobs, &|at, ended| {
        all.lock().unwrap_or_else(PoisonError::into_inner).push((at, ended, Instant::now()));
    });
    for (at, ended, when) in all.into_inner().unwrap_or_else(PoisonError::into_inner) {
        let Some(work) = of.get(at).and_then(|at| hosts.get_mut(*at)) else { continue };
        work.ended = when;
        if let Err(error) = end(work, ended) {
            work.fails(&error);
        }
    }
}

fn of_host(
    target: &Target,
    exit_status: Option<i32>,
    output: String,
    error: Option<String>,
    time: Duration,
) -> OfHost {
    let seconds = (time.as_secs_f64() * 10.0).round() / 10.0;
    OfHost { host: target.to_string(), exit_status, answer: Value::Null, error, seconds, output, lost: false }
}

/// Returns the result of a call.
fn answered(target: &Target, ended: Result<Ended>, json: bool, time: Duration) -> OfHost {
    let lost = |why: String| {
        let why = format!("{target}: the connection was lost, so the command may still run there: {why}");
        OfHost { lost: true, ..of_host(target, None, String::new(), Some(why), time) }
    };
    let ended = match ended {
        Ok(ended) => ended,
        Err(error) => return lost(format!("{error:#}")),
    };
    let code = ended.status.code();
    if code.is_none_or(|code| code == ssh::NO_CONNECTION) {
        return lost(ended.stderr.trim().replace('\n', " | "));
    }
    let said = ended.stderr.trim().to_owned();
    let error = Some(said.clone()).filter(|said| code != Some(0) && !said.is_empty());
    let answer = json.then(|| serde_json::from_str(&ended.stdout).ok()).flatten().unwrap_or_default();
    let output = [said, ended.stdout.trim_end().to_owned()];
    let output = output.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n");
    OfHost { answer, ..of_host(target, code, output, error, time) }
}

/// Returns the table of results.
fn summary(results: &[OfHost], color: bool) -> String {
    let row = |one: &OfHost| {
        let (word, tone) = match one.exit_status {
            Some(0) => ("done".to_owned(), Tone::Good),
            Some(code) => (format!("exit status {code}"), Tone::Bad),
            None if one.lost => ("connection lost".to_owned(), Tone::Bad),
            None => ("not run".to_owned(), Tone::Bad),
        };
        vec![Cell::plain(&one.host), Cell::new(word, tone), Cell::plain(format!("{:.1} s", one.seconds))]
    };
    table(&["HOST", "RESULT", "TIME"], &results.iter().map(row).collect::<Vec<_>>(), color)
}
