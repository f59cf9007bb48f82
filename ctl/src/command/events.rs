//! Prints events on standard error while a command is running.

use nixos_nspawn_units::name::MachineName;

use crate::base::event::{Event, Step};
use crate::base::screen::Screen;
use crate::host::manager_inside::listed;

/// The seconds after which a check is reported if there is no status line.
const TOLD: [u64; 3] = [10, 60, 300];

fn percent(part: u64, whole: u64) -> u64 {
    part.saturating_mul(100).checked_div(whole).unwrap_or(0).min(100)
}

/// Shows the step that the command waits for: in the status line on a terminal, otherwise in a line of its own.
fn progress(screen: &Screen, name: &MachineName, step: Option<Step>) {
    let text = match step {
        None => return screen.end_live(),
        Some(Step::Writing { bytes }) => format!("{} MiB written", bytes >> 20),
        Some(Step::Verifying { bytes, whole }) => {
            format!("checking the archive ({} %)", percent(bytes, whole))
        }
        Some(Step::Reading { bytes, whole }) => format!("importing ({} %)", percent(bytes, whole)),
        Some(Step::Reloading) => "reloading".to_owned(),
        Some(Step::Restarting) => "restarting".to_owned(),
        Some(Step::Checking { seconds, limit }) => format!("waiting for check ({seconds}/{limit} s)"),
    };
    let line = format!("container '{name}': {text}");
    let told = match step {
        Some(Step::Checking { seconds, .. }) => TOLD.contains(&seconds),
        Some(Step::Writing { .. } | Step::Verifying { .. } | Step::Reading { .. }) => false,
        _ => true,
    };
    if !screen.live(&line) && told {
        screen.tell(&line);
    }
}

/// Prints an event. Omits progress if the answer is JSON.
pub(crate) fn show(screen: &Screen, event: Event, json: bool) {
    if let Event::Progress { name, step } = event {
        if !json {
            progress(screen, &name, step);
        }
        return;
    }
    // On a terminal, Nix shows its own progress.
    if matches!(event, Event::Building { .. }) && (json || screen.erases()) {
        return;
    }
    let (message, lines) = text(event);
    if !message.is_empty() {
        screen.tell(&message);
    }
    screen.tell_more(&lines);
}

/// Returns the message for an event, and the lines that belong to it.
fn text(event: Event) -> (String, Vec<String>) {
    let message = match event {
        Event::Called { words } => format!("+ {}", shell_words(&words)),
        Event::Progress { .. } => String::new(),
        Event::Building { names } => match &names[..] {
            [name] => format!("container '{name}': building"),
            _ => format!("building {}", names.iter().map(MachineName::as_str).collect::<Vec<_>>().join(", ")),
        },
        Event::ProgramOutput { lines } | Event::UnitJournal { lines } => return (String::new(), lines),
        Event::Waiting { what, holder } => format!("{what} is being changed by {holder}, waiting"),
        Event::Starting { name } => format!("starting container '{name}'"),
        Event::StillStarting { name, seconds, jobs, failed } => {
            still_starting(&name, seconds, &jobs, &failed)
        }
        Event::Journal { name, lines } => {
            return (format!("the last lines of the journal of container '{name}':"), lines);
        }
        Event::JournalInside { name, lines } => {
            return (format!("warnings in the journal inside container '{name}':"), lines);
        }
        Event::ProfileWarning { text } => text,
        Event::Note { name, text } => format!("container '{name}': {text}"),
        Event::UnitsFailed => "switch-to-configuration reports failed units".to_owned(),
        Event::CheckSkipped => "the container is not activated now, so --check is not run".to_owned(),
        Event::SourceNotLoaded { name, error } => {
            format!("container '{name}': its new source is recorded, but {error}")
        }
        Event::NotRefreshed { reference, reason } => {
            format!("{reference}: cannot be refreshed ({reason}); using the last known revision")
        }
        Event::ReloadDue => {
            "would run 'systemctl daemon-reload' first: systemd has not loaded all plans".to_owned()
        }
        Event::GeneratorFault { reason } => reason,
        Event::RequiredBy { name, other } => format!(
            "container '{other}' requires container '{name}' and cannot start without it; remove it from its options"
        ),
        Event::LinkRemoved { link } => format!("removed {link}, which 'systemctl enable' made"),
        Event::UpdateAccepted { name } => {
            format!("container '{name}': a killed update had been activated, so it is kept")
        }
        Event::UpdateKept { name } => {
            format!("container '{name}': a killed update stays, since it only takes reach away")
        }
        Event::NewGenerationDown { error } => {
            format!("{error}; its new generation stays recorded, since it only takes reach away")
        }
        Event::UpdateTakenBack { name } => format!("container '{name}': a killed update is rolled back"),
        Event::CreateAccepted { name } => {
            format!("container '{name}' was created by a command that was killed at its end, so it is kept")
        }
        Event::CreateTakenBack { name } => {
            format!("container '{name}' was left half created by a killed command, removing it")
        }
        Event::RemoveFinished { name } => {
            format!("container '{name}' was left half removed by a killed command, removing it")
        }
        Event::RenameFinished { name, to } => {
            format!("container '{name}' was left half renamed by a killed command, renaming it to '{to}'")
        }
        Event::RenameTakenBack { name, to } => {
            format!(
                "container '{name}' was left half renamed to '{to}' by a killed command, taking that back"
            )
        }
        Event::RecordsUnread { error } => {
            format!("{error}, so what killed commands may have left is not settled")
        }
        Event::EditKept { name } => format!(
            "container '{name}': its intent was edited meanwhile, so the edit is kept; 'nixos-nspawn activate {name}' \
             applies it"
        ),
        Event::NotSettled { name, error } => format!("container '{name}' is left incomplete: {error}"),
        Event::ReloadingBack { name } => {
            format!("container '{name}': the old generation is reloaded, without a restart")
        }
        Event::RestartingBack { name, error } => {
            format!("container '{name}' is restarted with the old generation: {error}")
        }
        Event::OldGenerationDown { error } => {
            format!("{error}; its old generation is recorded again, and the container is left as it is")
        }
        Event::ProfileNotAligned { profile, generation, error } => {
            format!("{}: cannot be set to generation {generation}: {error}", profile.display())
        }
        Event::GenerationStays { profile, error } => {
            format!("{}: the failed generation stays in the profile: {error}", profile.display())
        }
        Event::FolderStays { folder, error } => format!("{}: is not removed: {error}", folder.display()),
        Event::DependentsDown { units, error } => {
            let units = units.join(", ");
            format!("could not restart {units}, which stopped with the container: {error}")
        }
        Event::NetworkdNotTold { path, error } => {
            format!("{}: networkd could not be notified: {error}", path.display())
        }
        Event::NetworkFileFailed { path, error } => {
            format!("{}: {error}, so the host's end of the container's link stays as it was", path.display())
        }
        Event::PortsNotOpened { name, error } => {
            format!("container '{name}': not all of its ports could be opened: {error}")
        }
        Event::DefaultIgnored { text } => text,
        Event::ResultNotRecorded { error } => format!("the result cannot be recorded: {error}"),
        Event::NotRemembered { path, error } => format!("{}: cannot be written: {error}", path.display()),
    };
    (message, Vec::new())
}

fn still_starting(name: &MachineName, seconds: u64, jobs: &[String], failed: &[String]) -> String {
    let mut message = format!("container '{name}' is still starting after {seconds} s");
    if !jobs.is_empty() {
        message += &format!("; jobs that run inside: {}", listed(jobs));
    }
    if !failed.is_empty() {
        message += &format!("; units that failed inside: {}", listed(failed));
    }
    message
}

/// Quotes the words for a shell.
fn shell_words(words: &[String]) -> String {
    // No argument of a program can contain NUL.
    shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_start_names_what_it_waits_for() {
        let name: MachineName = "web".parse().unwrap();
        let units = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let plain = "container 'web' is still starting after 87 s";
        assert_eq!(still_starting(&name, 87, &[], &[]), plain, "it cannot be asked");
        let both = still_starting(&name, 87, &units(&["a.service", "b.mount"]), &units(&["c.service"]));
        let expected = "; jobs that run inside: a.service, b.mount; units that failed inside: c.service";
        assert_eq!(both, format!("{plain}{expected}"));
    }

    #[test]
    fn calls_can_be_pasted_into_a_shell() {
        let words = ["nix", "--features", "nix-command flakes", "it's", "", "a#b"].map(str::to_owned);
        let (text, lines) = text(Event::Called { words: words.to_vec() });
        assert_eq!(text, r#"+ nix --features 'nix-command flakes' "it's" '' 'a#b'"#);
        assert!(lines.is_empty());
    }
}
