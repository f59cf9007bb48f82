//! Looks for damage after a power cut: before and after the next command, and after the same command again.

use super::machine::Shell;
use super::verbs::{NAME, OTHERS, Verb, ctl, state, system};
use crate::torture::kills::AGREEMENT;

/// A command that is cut.
pub(super) struct Case {
    pub(super) number: usize,
    pub(super) verb: Verb,
    pub(super) started: bool,
    pub(super) words: String,
    pub(super) before: String,
}

/// Returns what is wrong after a cut.
pub(super) fn examine(host: &mut dyn Shell, case: &Case, ended: bool) -> Result<Vec<String>, String> {
    let mut wrong = lines(host, include_str!("after.sh"))?;
    // A command about another container settles what was cut.
    let settled = host.run("nixos-nspawn enable stopped")?;
    if settled.status != 0 {
        wrong.push(format!("the next command fails: {}", settled.text()));
    }
    wrong.extend(disagreements(host, case)?);
    wrong.extend(lines(host, "nix-store --gc > /dev/null 2>&1 || echo the garbage collector fails")?);
    wrong.extend(lines(host, include_str!("after.sh"))?.into_iter().map(|line| format!("collected: {line}")));
    let now = state(host)?;
    let done = case.verb.leads_to(&case.before, &now);
    if !done && (ended || now != case.before) {
        wrong.push(format!("was {}, is {now}, and the command had ended: {ended}", case.before));
    }
    if case.verb.keeps_data() {
        let data = host.run(&format!("cat /var/lib/machines/{NAME}/data"))?;
        if data.out != "precious\n" {
            wrong.push(format!("the state is gone: {}", data.text()));
        }
    }
    let again = host.run(&format!("nixos-nspawn {}", case.words))?;
    let created = case.verb == Verb::Create && done && again.err.contains("already exists");
    if again.status != 0 && !created {
        wrong.push(format!("the same command again: {}", again.text()));
    }
    let last = state(host)?;
    if system(&last) == system(&case.before) || done && system(&last) != system(&now) {
        wrong.push(format!("was {}, is {now}, and after the same command again {last}", case.before));
    }
    wrong.extend(disagreements(host, case)?.into_iter().map(|line| format!("at last: {line}")));
    if !wrong.is_empty() {
        wrong.push(format!("settled: {}", settled.text()));
    }
    Ok(wrong)
}

/// Returns what is wrong right after a boot of the machine, and after the next command.
pub(super) fn booted(vm: &mut dyn Shell, case: &Case) -> Result<Vec<String>, String> {
    let mut wrong = lines(vm, include_str!("back.sh"))?;
    wrong.extend(lines(vm, include_str!("after.sh"))?);
    wrong.extend(ctl(vm, "enable stopped").err());
    wrong.extend(disagreements(vm, case)?);
    Ok(wrong)
}

/// Returns the disagreements between files, PID 1 and the containers.
fn disagreements(vm: &mut dyn Shell, case: &Case) -> Result<Vec<String>, String> {
    let script = format!("set +eu; set -- {NAME} {}\n{AGREEMENT}", OTHERS.join(" "));
    let mut found = lines(vm, &script)?;
    found.retain(|line| {
        let stopped =
            line == "stopped: is inactive" || line == &format!("{NAME}: is inactive") && !case.started;
        !stopped
    });
    Ok(found)
}

/// Returns the lines that a script prints, on either output.
fn lines(vm: &mut dyn Shell, script: &str) -> Result<Vec<String>, String> {
    let reply = vm.run(script)?;
    Ok(reply.out.lines().chain(reply.err.lines()).map(str::to_owned).collect())
}
