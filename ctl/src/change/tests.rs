//! Operations on a fake host, with faults that cannot be provoked on a real one.

use std::fs;
use std::time::Duration;

use nixos_nspawn_units::intent::Strategy;

use crate::base::event::Event;
use crate::base::exit;
use crate::change::gate::Expectation;
use crate::change::switch_options::Activation;
use crate::change::update::update;
use crate::change::update_options::UpdateOptions;
use crate::decision::reach::Consent;
use crate::nix::source::SourceArguments;
use crate::nix::tool::Nix;
use crate::testing::{Played, ended, web};

pub(super) const RESTART: UpdateOptions = UpdateOptions {
    source: SourceArguments {
        flake: None,
        config: None,
        nixpkgs: None,
        profile: None,
        system: None,
        nix_args: &[],
        save_args: false,
        built: &[],
    },
    activation: Activation {
        strategy: Some(Strategy::Restart),
        expectation: Expectation { expect: None, check: None, limit: Some(Duration::from_secs(5)) },
        keep: false,
    },
    consent: Consent::Nothing,
    allow_taken_ports: false,
    overrides: None,
    applied_from: None,
    all: false,
    retry: false,
};

pub(super) fn is_call(words: &[String], program: &str, command: &str) -> bool {
    words[0].ends_with(program) && words.iter().skip(1).any(|word| word == command)
}

/// Returns whether an intent names the system `two`; its source does so from the beginning.
fn runs_two(intent: &str) -> bool {
    let intent: serde_json::Value = serde_json::from_str(intent).unwrap();
    intent["toplevel"].as_str().is_some_and(|toplevel| toplevel.ends_with("-two"))
}

pub(super) fn recorded(played: &Played) -> String {
    fs::read_to_string(played.intent()).unwrap()
}

#[test]
fn an_update_switches() {
    let played = Played::new();
    played.record();
    let nix = Nix::find(&played.host).unwrap();
    let updated = update(&played.host, &nix, &web(), &RESTART, None).unwrap();
    assert_eq!((updated.old_generation, updated.generation), (Some(1), Some(2)));
    assert!(runs_two(&recorded(&played)));
    assert_eq!((played.hidden(), played.active().as_str()), (vec![], "active"));
}

#[test]
fn a_generation_that_does_not_start_is_taken_back() {
    let played = Played::new();
    played.record();
    let before = recorded(&played);
    let intent = played.intent();
    played.on_call(move |words, _| {
        let new = runs_two(&fs::read_to_string(&intent).unwrap());
        (is_call(words, "systemctl", "start") && new).then(|| ended(1, "", "Job failed."))
    });
    let nix = Nix::find(&played.host).unwrap();
    let error = update(&played.host, &nix, &web(), &RESTART, None).unwrap_err();
    assert!(format!("{error:#}").contains("rolled back"), "{error:#}");
    assert_eq!(exit::code(&error), 1);
    assert_eq!(recorded(&played), before);
    assert_eq!((played.hidden(), played.active().as_str()), (vec![], "active"));
    assert!(!played.profile().join("system-2-link").is_symlink(), "what failed is not kept");
}

#[test]
fn a_container_that_was_started_during_the_build_is_taken_back() {
    let played = Played::new();
    played.record();
    let intent = played.intent();
    let mut shown = 0;
    played.on_call(move |words, _| {
        let new = runs_two(&fs::read_to_string(&intent).unwrap());
        if is_call(words, "systemctl", "start") && new {
            return Some(ended(1, "", "Job failed."));
        }
        // Before the build, it does not run.
        shown += u32::from(is_call(words, "systemctl", "show"));
        (is_call(words, "systemctl", "show") && shown <= 2)
            .then(|| ended(0, "Id=systemd-nspawn@web.service\nActiveState=inactive\n", ""))
    });
    let nix = Nix::find(&played.host).unwrap();
    let error = update(&played.host, &nix, &web(), &RESTART, None).unwrap_err();
    assert!(format!("{error:#}").contains("rolled back"), "{error:#}");
    assert!(!runs_two(&recorded(&played)));
    assert_eq!((played.hidden(), played.active().as_str()), (vec![], "active"));
}

/// Updates a host whose container answers these words of systemctl with an error, and gives this state of its system.
fn updated_unheard(state: &'static str, silent: &'static str) -> String {
    let played = Played::new();
    played.record();
    let before = recorded(&played);
    played.on_call(move |words, _| {
        let inside = words.iter().any(|word| word.starts_with("--machine"));
        if inside && is_call(words, "systemctl", silent) {
            Some(ended(1, "", "Failed to connect to bus"))
        } else {
            (inside && is_call(words, "systemctl", "is-system-running")).then(|| ended(1, state, ""))
        }
    });
    let nix = Nix::find(&played.host).unwrap();
    let expectation = Expectation { limit: Some(Duration::from_secs(1)), ..RESTART.activation.expectation };
    let activation = Activation { expectation, ..RESTART.activation };
    let error =
        update(&played.host, &nix, &web(), &UpdateOptions { activation, ..RESTART }, None).unwrap_err();
    assert_eq!(recorded(&played), before);
    format!("{error:#}")
}

#[test]
fn no_answer_is_not_a_good_answer() {
    let text = updated_unheard("degraded", "list-units");
    assert!(text.contains("is still degraded"), "{text}");
    let text = updated_unheard("running", "show");
    assert!(text.contains("the services in container 'web' cannot be listed"), "{text}");
    let text = updated_unheard("", "is-system-running");
    assert!(text.contains("is still unreachable"), "{text}");
}

#[test]
fn a_daemon_reload_that_loses_our_units_fails_the_update() {
    let played = Played::new();
    played.record();
    let before = recorded(&played);
    let mut reloads = 0;
    played.on_call(move |words, _| {
        reloads += u32::from(is_call(words, "systemctl", "daemon-reload"));
        // As after a generator that died from a signal: status 0, and none of our units.
        let lost = reloads == 1 && is_call(words, "systemctl", "show");
        lost.then(|| ended(0, "Id=systemd-nspawn@web.service\nActiveState=active\n", ""))
    });
    let nix = Nix::find(&played.host).unwrap();
    let error = update(&played.host, &nix, &web(), &RESTART, None).unwrap_err();
    assert_eq!(exit::code(&error), 11, "{error:#}");
    assert_eq!(recorded(&played), before);
    assert!(!played.calls().iter().any(|call| call.starts_with("systemctl stop")), "{:?}", played.calls());
}

#[test]
fn an_edit_during_a_watched_update_stays() {
    let played = Played::new();
    played.record();
    let edited = recorded(&played).replace("\"generation\":1", "\"generation\":1,\"autostart\":true");
    let (intent, text) = (played.intent(), edited.clone());
    played.on_call(move |words, _| {
        let new = runs_two(&fs::read_to_string(&intent).unwrap());
        (is_call(words, "systemctl", "start") && new).then(|| {
            fs::write(&intent, &text).unwrap();
            ended(1, "", "Job failed.")
        })
    });
    let nix = Nix::find(&played.host).unwrap();
    update(&played.host, &nix, &web(), &RESTART, None).unwrap_err();
    assert_eq!(recorded(&played), edited);
    assert!(played.events.borrow().contains(&Event::EditKept { name: web() }));
    assert_eq!(played.hidden(), Vec::<String>::new());
}
