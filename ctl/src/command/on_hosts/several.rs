//! Runs a command on several hosts side by side, and shows the output of each as a whole, and a table. A host that cannot be
//! reached fails alone.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use serde::Serialize;
use serde_json::Value;

use super::one_table::OneTable;
use crate::base::call::Ended;
use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::output::{Tone, painted, printable};
use crate::base::program::{Program, run_all};
use crate::base::remote::{Rights, Target};
use crate::base::table::{Cell, table};
use crate::cli::Command;
use crate::command::built_here::{ForHost, copy, for_host, not_copied};
use crate::host::ssh;

/// What a host answered.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct OfHost {
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
    /// Its messages alone.
    #[serde(skip)]
    said: String,
    /// Whether the connection was lost, so that the command may still run there.
    #[serde(skip)]
    lost: bool,
}

/// Runs it on several hosts, and shows the output of each as a whole, and a table.
pub(super) fn run(
    context: &Context,
    targets: &[Target],
    (command, words): (&Command, &[String]),
    jobs: usize,
) -> Result<()> {
    let shown = OneTable::of(command).filter(|_| !context.json);
    let json = context.json || shown.is_some();
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
            Ok(work.needed.as_ref().map(|needed| {
                let more = shown.is_some().then(|| "--json".to_owned());
                let words: Vec<String> = more.into_iter().chain(needed.words.iter().cloned()).collect();
                ssh::call(context, work.target, &words, Rights::Silent, false)
            }))
        },
        |work, ended| {
            work.result = Some(answered(work.target, ended, json, work.ended - work.begun));
            Ok(())
        },
    );
    let mut results: Vec<OfHost> = hosts.into_iter().filter_map(|work| work.result).collect();
    for one in results.iter().filter(|one| one.exit_status.is_none()) {
        context.screen.tell(one.error.as_deref().unwrap_or_default());
    }
    if let Some(shown) = shown {
        results.iter_mut().for_each(|one| one.needs_answer(shown));
    }
    let failed = results.iter().any(|one| one.exit_status != Some(0) || one.error.is_some());
    if context.json {
        context.screen.print_json(&results)?;
    } else if let Some(shown) = shown {
        for one in results.iter().filter(|one| one.exit_status.is_some()) {
            let lines = one.said.lines().map(|line| line.strip_prefix("nixos-nspawn: ").unwrap_or(line));
            for line in lines.filter(|line| !shown.says(&one.answer, line)) {
                context.screen.tell(&format!("{}: {line}", one.host));
            }
        }
        let answers: Vec<(&str, &Value)> =
            results.iter().map(|one| (one.host.as_str(), &one.answer)).collect();
        context.screen.print(&shown.text(&answers, (context.screen.width(), context.color)))?;
        if failed {
            context.screen.print(&format!("\n{}", summary(&results, context.color)))?;
        }
    } else {
        for one in results.iter().filter(|one| !one.output.is_empty()) {
            let head = painted(&one.host, Tone::Strong, context.color);
            // It was written to a pipe, so it has no colours.
            context.screen.print(&format!("{head}\n{}\n\n", printable(one.output.trim_end())))?;
        }
        context.screen.print(&summary(&results, context.color))?;
    }
    if failed { Err(Failed::Silent.into()) } else { Ok(()) }
}

impl OfHost {
    /// Makes an answer that the table cannot be made of an error, which would otherwise look like a host without containers.
    fn needs_answer(&mut self, shown: OneTable) {
        if self.exit_status == Some(0) && !shown.reads(&self.answer) {
            let why = "unexpected answer of the command there";
            self.error = Some(why.to_owned());
            self.said = format!("{}\n{why}", self.said).trim_start().to_owned();
        }
    }
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
    OfHost {
        host: target.to_string(),
        exit_status,
        answer: Value::Null,
        error,
        seconds,
        output,
        said: String::new(),
        lost: false,
    }
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
    let output = [said.clone(), ended.stdout.trim_end().to_owned()];
    let output = output.into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n");
    OfHost { answer, said, ..of_host(target, code, output, error, time) }
}

/// Returns the table of results.
fn summary(results: &[OfHost], color: bool) -> String {
    let row = |one: &OfHost| {
        let (word, tone) = match one.exit_status {
            Some(0) if one.error.is_some() => ("unexpected answer".to_owned(), Tone::Bad),
            Some(0) => ("done".to_owned(), Tone::Good),
            Some(code) => (format!("exit status {code}"), Tone::Bad),
            None if one.lost => ("connection lost".to_owned(), Tone::Bad),
            None => ("not run".to_owned(), Tone::Bad),
        };
        vec![Cell::plain(&one.host), Cell::new(word, tone), Cell::plain(format!("{:.1} s", one.seconds))]
    };
    table(&["HOST", "RESULT", "TIME"], &results.iter().map(row).collect::<Vec<_>>(), color)
}
