//! A virtual machine: boots a disk, runs scripts in it, and ends it as a power cut does.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use super::image::Image;
use super::qemu::{Boot, qemu};
use crate::host::Host;

/// The time limit of a boot, and that of a script. Emulation is slow, the more so on a busy machine.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The name of the saved machine on its disk.
const SAVED: &str = "ready";

/// The answer to a script.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    /// The exit status.
    pub(super) status: i64,
    /// Standard output.
    pub(super) out: String,
    /// Standard error.
    pub(super) err: String,
}

impl Reply {
    /// Returns standard output if the script succeeded, otherwise everything.
    pub(super) fn ok(self) -> Result<String, String> {
        if self.status == 0 { Ok(self.out) } else { Err(self.text()) }
    }

    /// Returns status and output for messages.
    pub(super) fn text(&self) -> String {
        format!("status {}: {} {}", self.status, self.out.trim(), self.err.trim())
    }
}

/// Something that runs shell scripts to their ends.
pub(super) trait Shell {
    /// Runs a script.
    fn run(&mut self, script: &str) -> Result<Reply, String>;
}

impl Shell for Host {
    fn run(&mut self, script: &str) -> Result<Reply, String> {
        let output = self.run_with(&["sh", "-euc", script], None, PATIENCE);
        Ok(Reply { status: output.code().into(), out: output.stdout, err: output.stderr })
    }
}

/// A running virtual machine.
pub(super) struct Vm {
    qemu: Child,
    agent: BufReader<UnixStream>,
    monitor: UnixStream,
    /// The part of an answer that has come.
    line: Vec<u8>,
    console: PathBuf,
}

impl Vm {
    /// Boots an image, and waits until everything has started. Writes go to `disk`, a new file on top of `backing`.
    pub(super) fn boot(image: &Image, backing: &Path, disk: &Path, boot: Boot) -> Result<Self, String> {
        let format = if backing == image.disk() { "raw" } else { "qcow2" };
        // Blocks as small as those of the file systems: what qemu has not been told to flush is lost for each by itself.
        let mut create = Command::new("qemu-img");
        create.args(["create", "-q", "-f", "qcow2", "-o", "cluster_size=4k", "-F", format, "-b"]);
        let created = create.arg(backing).arg(disk).status();
        assert!(created.expect("qemu-img").success(), "{}: cannot be made", disk.display());
        let mut vm = Self::start(qemu(image, disk, boot), disk)?;
        let ready = vm.line_within(PATIENCE)?;
        if ready.as_deref() != Some("ready") {
            return Err(format!("does not boot: {}", vm.console()));
        }
        let state = vm.run("systemctl is-system-running --wait || true")?.out;
        match state.trim() {
            "running" | "degraded" => Ok(vm),
            state => Err(format!("boots to '{state}': {}", vm.console())),
        }
    }

    /// Continues a saved machine, with everything that it had in memory.
    pub(super) fn resume(image: &Image, disk: &Path) -> Result<Self, String> {
        let mut qemu = qemu(image, disk, Boot::Small);
        qemu.args(["-loadvm", SAVED]);
        Self::start(qemu, disk)
    }

    fn start(mut qemu: Command, disk: &Path) -> Result<Self, String> {
        let mut qemu = qemu.spawn().expect("qemu-system-x86_64");
        let begun = Instant::now();
        let mut connect = |extension: &str| {
            let socket = disk.with_extension(extension);
            loop {
                match UnixStream::connect(&socket) {
                    Ok(stream) => return Ok(stream),
                    Err(_) if begun.elapsed() < PATIENCE && qemu.try_wait().expect("wait").is_none() => {}
                    Err(error) => return Err(format!("{}: {error}", socket.display())),
                }
                thread::sleep(Duration::from_millis(50));
            }
        };
        let (agent, monitor) = (connect("agent")?, connect("monitor")?);
        let console = disk.with_extension("console");
        let mut vm = Self { qemu, agent: BufReader::new(agent), monitor, line: Vec::new(), console };
        vm.command(r#"{"execute":"qmp_capabilities"}"#)?;
        Ok(vm)
    }

    /// Saves the machine on its disk and ends it.
    pub(super) fn save(mut self) -> Result<(), String> {
        let save = format!("savevm {SAVED}");
        let arguments = format!(r#"{{"command-line":"{save}"}}"#);
        self.command(&format!(r#"{{"execute":"human-monitor-command","arguments":{arguments}}}"#))?;
        self.command(r#"{"execute":"quit"}"#)?;
        self.wait()
    }

    /// Executes a command of qemu's machine protocol.
    fn command(&mut self, text: &str) -> Result<(), String> {
        let failed = |error: io::Error| format!("{text}: {error}");
        self.monitor.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        self.monitor.write_all(format!("{text}\n").as_bytes()).map_err(failed)?;
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            self.monitor.read_exact(&mut byte).map_err(failed)?;
            line.push(byte[0]);
            if byte != *b"\n" {
                continue;
            }
            let answer = String::from_utf8_lossy(&line).trim().to_owned();
            // Other lines are the greeting and events. The monitor prints nothing if savevm succeeds.
            if answer == r#"{"return": {}}"# || answer == r#"{"return": ""}"# {
                return Ok(());
            }
            if answer.contains(r#""error""#) || answer.starts_with(r#"{"return""#) {
                return Err(format!("{text}: {answer}"));
            }
            line.clear();
        }
    }

    fn wait(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        while self.qemu.try_wait().expect("wait").is_none() {
            if begun.elapsed() > PATIENCE {
                return Err(format!("does not end: {}", self.console()));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Begins a shell script.
    pub(super) fn begin(&mut self, script: &str) -> Result<(), String> {
        let line = format!("{}\n", script.replace('\\', r"\\").replace('\n', r"\n"));
        self.agent
            .get_mut()
            .write_all(line.as_bytes())
            .map_err(|error| format!("{error}: {}", self.console()))
    }

    /// Returns the answer to the script if it comes within this time.
    pub(super) fn reply_within(&mut self, time: Duration) -> Result<Option<Reply>, String> {
        let Some(line) = self.line_within(time)? else { return Ok(None) };
        let (status, out, err) =
            serde_json::from_str(&line).map_err(|error| format!("{error} in the answer '{line}'"))?;
        Ok(Some(Reply { status, out, err }))
    }

    fn line_within(&mut self, time: Duration) -> Result<Option<String>, String> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            self.agent.get_ref().set_read_timeout(Some(left)).expect("not zero");
            let read = self.agent.read_until(b'\n', &mut self.line);
            if self.line.ends_with(b"\n") {
                let line = String::from_utf8_lossy(&self.line).trim().to_owned();
                self.line.clear();
                return Ok(Some(line));
            }
            match read {
                Ok(0) => return Err(format!("the machine has ended: {}", self.console())),
                Err(error) if !timed_out(&error) => return Err(format!("{error}: {}", self.console())),
                _ if Instant::now() >= end => return Ok(None),
                _ => {}
            }
        }
    }

    /// Shuts the system down, which writes everything to the disk.
    pub(super) fn power_off(mut self) -> Result<(), String> {
        self.begin("systemctl poweroff")?;
        self.wait()
    }

    /// Ends the machine like a power cut.
    pub(super) fn cut(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }

    /// Returns the end of the console.
    fn console(&self) -> String {
        let text = fs::read(&self.console).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Shell for Vm {
    fn run(&mut self, script: &str) -> Result<Reply, String> {
        self.begin(script)?;
        match self.reply_within(PATIENCE)? {
            Some(reply) => Ok(reply),
            None => Err(format!("does not answer in {PATIENCE:?}: {script}\n{}", self.console())),
        }
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        self.end();
    }
}

fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
