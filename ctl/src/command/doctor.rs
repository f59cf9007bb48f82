//! `doctor`: looks at everything on the host that containers depend on. It changes nothing without `--fix`.

use anyhow::Result;

use crate::base::context::Context;
use crate::base::exit::Failed;
use crate::base::interrupt;
use crate::change::doctor::fix;
use crate::cli::Doctor;
use crate::command::begin::begin;
use crate::command::doctor_checks::look;
use crate::command::doctor_text::{DoctorAnswer, text};
use crate::decision::doctor::fix::Fix;
use crate::decision::doctor::verdict::{Check, Level, Verdict};

/// Runs the command.
pub(crate) fn run(context: &Context, arguments: &Doctor) -> Result<()> {
    let mut fixed = Vec::new();
    let Doctor { fix, dry_run } = *arguments;
    let repairs = fix && !dry_run;
    if fix {
        context.need_systemd()?;
    }
    if repairs {
        // This settles what killed commands left.
        begin(context, "doctor --fix")?;
    }
    let mut verdicts = look(context)?;
    if repairs {
        fixed = repair(context, &verdicts)?;
        if !fixed.is_empty() {
            verdicts = look(context)?;
        }
    }
    let mut answers = answers(&verdicts, &fixed);
    if dry_run {
        for (answer, verdict) in answers.iter_mut().zip(&verdicts) {
            answer.would_fix = verdict.fix.iter().map(Fix::to_string).collect();
        }
    }
    if context.json {
        context.screen.print_json(&answers)?;
    } else {
        context.screen.print(&text(&answers, context.screen.width(), context.color))?;
    }
    for Fixed { check, done } in &fixed {
        if let Err(error) = done {
            context.screen.tell(&format!("{}: not fixed: {error:#}", check.name()));
        }
    }
    let failed = verdicts.iter().any(|verdict| verdict.level == Level::Failure);
    match failed || fixed.iter().any(|one| one.done.is_err()) {
        true => Err(Failed::Silent.into()),
        false => Ok(()),
    }
}

/// What was done for a check.
struct Fixed {
    check: Check,
    done: Result<Vec<String>>,
}

/// Makes the repairs that the verdicts name. A failure does not prevent the others.
fn repair(context: &Context, verdicts: &[Verdict]) -> Result<Vec<Fixed>> {
    let mut wanted: Vec<(&Fix, Check)> =
        verdicts.iter().filter_map(|verdict| Some((verdict.fix.as_ref()?, verdict.check))).collect();
    wanted.sort();
    wanted.dedup_by_key(|(fix, _)| *fix);
    let mut all = Vec::new();
    for (wanted, check) in wanted {
        let done = fix(context, wanted);
        interrupt::check()?;
        all.push(Fixed { check, done });
    }
    Ok(all)
}

/// Returns the answers; what was done goes to the first answer of its check.
fn answers<'a>(verdicts: &'a [Verdict], fixed: &[Fixed]) -> Vec<DoctorAnswer<'a>> {
    let mut answers: Vec<DoctorAnswer> = verdicts
        .iter()
        .map(|verdict| DoctorAnswer {
            check: verdict.check.name(),
            level: verdict.level,
            text: &verdict.text,
            next: verdict.next.as_deref(),
            fixed: Vec::new(),
            would_fix: Vec::new(),
        })
        .collect();
    for Fixed { check, done } in fixed {
        if let Some(answer) = answers.iter_mut().find(|answer| answer.check == check.name()) {
            answer.fixed.extend(done.iter().flatten().cloned());
        }
    }
    answers
}
