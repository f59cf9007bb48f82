//! A fake host for tests: a temporary tree, and scripted programs of systemd and Nix. Tests run operations and commands
//! in process, and see faults that cannot be provoked on a real host.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::rc::Rc;
use std::{fs, io};

use anyhow::Result;
use nixos_nspawn_units::copies::generated;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::plan;
use nixos_nspawn_units::store::{Trust, load};
use tempfile::TempDir;

use crate::base::call::{Call, Ended, Programs};
use crate::base::config::Config;
use crate::base::context::Context;
use crate::base::event::Event;
use crate::base::host::Host;
use crate::base::scope::Scope;
use crate::base::screen::Screen;

/// Intercepts a call before the scripted programs see it.
pub(crate) type Fault = Box<dyn FnMut(&[String], &Path) -> Option<Result<Ended>>>;

/// A fake host with a container `web`.
pub(crate) struct Played {
    pub(crate) host: Host,
    pub(crate) events: Rc<RefCell<Vec<Event>>>,
    state: Rc<RefCell<State>>,
    folder: TempDir,
}

#[derive(Default)]
struct State {
    /// The hash that PID 1 has loaded for the container.
    loaded: Option<String>,
    active: String,
    calls: Vec<String>,
    fault: Option<Fault>,
}

struct Player {
    root: PathBuf,
    state: Rc<RefCell<State>>,
}

/// Returns the name of the container in all tests.
pub(crate) fn web() -> MachineName {
    "web".parse().unwrap()
}

/// Returns a store path with this name.
pub(crate) fn store_path(name: &str) -> String {
    format!("/nix/store/{}-{name}", "a".repeat(32))
}

impl Played {
    /// Returns a host whose container `web` runs generation 1, the system `one`; `two` is built as well.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for directory in [
            "etc/nixos-nspawn",
            "run/systemd/system",
            "run/systemd/nspawn",
            "nix/var/nix/profiles/per-nspawn/web",
            "var/lib",
            "bin",
        ] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        fs::write(root.join("bin/nix"), "").unwrap();
        // What the generator wrote for the container: nothing for networkd.
        let generated = generated(&root, "web.nspawn");
        fs::create_dir_all(generated.parent().unwrap()).unwrap();
        fs::write(generated, "").unwrap();
        let state = Rc::new(RefCell::new(State { active: "active".to_owned(), ..State::default() }));
        let events = Rc::new(RefCell::new(Vec::new()));
        let watcher = Rc::clone(&events);
        let config = Config {
            nix_command: Some(format!("{}/bin/nix", root.display())),
            ..Config::built_in().unwrap()
        };
        let owner = fs::metadata(&root).unwrap().uid();
        let host = Host {
            root: root.clone(),
            live: true,
            scope: Scope { owner, ..Scope::SYSTEM },
            verbose: false,
            config,
            programs: Box::new(Player { root, state: Rc::clone(&state) }),
            watcher: Box::new(move |event| watcher.borrow_mut().push(event)),
        };
        let played = Self { host, events, state, folder };
        played.build("one", "");
        played.build("two", "");
        played
    }

    /// Adds a system with these options to the store.
    pub(crate) fn build(&self, name: &str, options: &str) {
        let path = self.host.path(store_path(name));
        fs::create_dir_all(path.join("nixos-nspawn")).unwrap();
        fs::write(path.join("init"), "#!/bin/sh\n").unwrap();
        fs::write(path.join("nixos-nspawn/data.json"), format!(r#"{{"version":1{options}}}"#)).unwrap();
    }

    /// Records `web` with the system `one`, as create leaves it, and lets it run.
    pub(crate) fn record(&self) {
        let profile = self.profile();
        symlink(store_path("one"), profile.join("system-1-link")).unwrap();
        symlink("system-1-link", profile.join("system")).unwrap();
        let text = format!(
            r#"{{"version":1,"name":"web","toplevel":"{}","source":{{"profile":"{}"}},"profile":"{}","generation":1}}"#,
            store_path("one"),
            store_path("two"),
            "/nix/var/nix/profiles/per-nspawn/web/system"
        );
        fs::write(self.intent(), text).unwrap();
        self.state.borrow_mut().loaded = planned(&self.host.root);
    }

    pub(crate) fn intent(&self) -> PathBuf {
        self.host.path("/etc/nixos-nspawn/web.json")
    }

    pub(crate) fn profile(&self) -> PathBuf {
        self.host.path("/nix/var/nix/profiles/per-nspawn/web")
    }

    /// Returns the hidden files beside the intents: records and temporary files.
    pub(crate) fn hidden(&self) -> Vec<String> {
        let entries = fs::read_dir(self.host.path("/etc/nixos-nspawn")).unwrap().flatten();
        let names = entries.map(|entry| entry.file_name().into_string().unwrap());
        names.filter(|name| name.starts_with('.')).collect()
    }

    /// Intercepts calls; `fault` may answer in place of the scripted programs.
    pub(crate) fn on_call(&self, fault: impl FnMut(&[String], &Path) -> Option<Result<Ended>> + 'static) {
        self.state.borrow_mut().fault = Some(Box::new(fault));
    }

    /// Stops the container.
    pub(crate) fn stop(&self) {
        self.state.borrow_mut().active = "inactive".to_owned();
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.state.borrow().calls.clone()
    }

    /// Returns the hash of the plan that PID 1 has loaded.
    pub(crate) fn plan(&self) -> Option<String> {
        self.state.borrow().loaded.clone()
    }

    pub(crate) fn active(&self) -> String {
        self.state.borrow().active.clone()
    }

    /// Returns a context for commands on this host that collects answers and messages.
    pub(crate) fn into_context(self, json: bool) -> (Context, Collected, Collected, TempDir) {
        let (answers, messages) = (Collected::default(), Collected::default());
        let screen = Rc::new(Screen::new(Box::new(answers.clone()), Box::new(messages.clone())));
        let context = Context { host: self.host, screen, color: false, json, unsettled: RefCell::default() };
        (context, answers, messages, self.folder)
    }
}

/// Collects the bytes that are written.
#[derive(Clone, Default)]
pub(crate) struct Collected(Rc<RefCell<Vec<u8>>>);

impl Collected {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.borrow().clone()).unwrap()
    }
}

impl Write for Collected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns the result of a program that ended with this code.
pub(crate) fn ended(code: i32, stdout: &str, stderr: &str) -> Result<Ended> {
    let status = ExitStatus::from_raw(code << 8);
    Ok(Ended { status, stdout: stdout.to_owned(), stderr: stderr.to_owned() })
}

/// Returns the hash of the recorded intent, as the generator would write it.
fn planned(root: &Path) -> Option<String> {
    let owner = fs::metadata(root).unwrap().uid();
    let mut loaded = load(root, Trust { also: Some(owner) });
    loaded.host.systemd = 257;
    plan(&loaded).containers.into_iter().find(|one| one.name == web())?.hash
}

impl Programs for Player {
    fn run(&self, call: &Call) -> Result<Ended> {
        let words = call.text();
        let name = words[0].rsplit('/').next().unwrap_or_default().to_owned();
        let line = [std::slice::from_ref(&name), &words[1..]].concat().join(" ");
        self.state.borrow_mut().calls.push(line.clone());
        let fault = self.state.borrow_mut().fault.take();
        if let Some(mut fault) = fault {
            let answer = fault(&words, &self.root);
            self.state.borrow_mut().fault.get_or_insert(fault);
            if let Some(answer) = answer {
                return answer;
            }
        }
        let mut state = self.state.borrow_mut();
        match (name.as_str(), words.get(1).map_or("", String::as_str)) {
            ("systemctl", "--version") => ended(0, "systemd 257 (257)\n", ""),
            ("systemctl", "daemon-reload") => {
                state.loaded = planned(&self.root);
                ended(0, "", "")
            }
            ("systemctl", "show") => {
                let plan = state.loaded.as_deref().map(|hash| format!("NIXOS_NSPAWN_PLAN={hash}"));
                let unit = format!(
                    "Id=systemd-nspawn@web.service\nActiveState={}\nResult=success\nEnvironment={}\n",
                    state.active,
                    plan.unwrap_or_default()
                );
                ended(0, &unit, "")
            }
            ("systemctl", "start") => {
                state.active = "active".to_owned();
                ended(0, "", "")
            }
            ("systemctl", "stop") => {
                state.active = "inactive".to_owned();
                ended(0, "", "")
            }
            ("systemctl", "list-units") if line.contains("systemd-nspawn@") => {
                ended(0, r#"[{"unit":"systemd-nspawn@web.service"}]"#, "")
            }
            ("systemctl", "list-units") => ended(0, "[]", ""),
            ("systemctl", word) if word.starts_with("--machine") && line.ends_with("is-system-running") => {
                ended(0, "running\n", "")
            }
            ("systemctl", word) if word.starts_with("--machine") => ended(0, "[]", ""),
            ("systemctl", _) | ("journalctl" | "networkctl", _) => ended(0, "", ""),
            ("nix-env", _) => self.nix_env(&words),
            _ => ended(1, "", "not played"),
        }
    }
}

impl Player {
    fn nix_env(&self, words: &[String]) -> Result<Ended> {
        let profile = self.root.join(words[2].trim_start_matches('/'));
        let folder = profile.parent().unwrap().to_owned();
        let point_at = |number: &str| {
            let _ = fs::remove_file(&profile);
            symlink(format!("system-{number}-link"), &profile).unwrap();
        };
        match words[3].as_str() {
            "--set" => {
                let number = (1..).find(|n| !folder.join(format!("system-{n}-link")).is_symlink()).unwrap();
                symlink(&words[4], folder.join(format!("system-{number}-link"))).unwrap();
                point_at(&number.to_string());
            }
            "--switch-generation" => point_at(&words[4]),
            "--delete-generations" => {
                for number in &words[4..] {
                    fs::remove_file(folder.join(format!("system-{number}-link"))).unwrap();
                }
            }
            other => panic!("nix-env {other}"),
        }
        ended(0, "", "")
    }
}
