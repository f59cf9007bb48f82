//! Calls `nix build`, once or for several builds side by side, and reads the path that it prints.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use nixos_nspawn_units::value::StorePath;

use crate::base::call::{Ended, Messages};
use crate::base::exit::Failed;
use crate::base::program;
use crate::base::program::Program;
use crate::nix::cause::{Cause, Unbuilt, failure};
use crate::nix::tool::Nix;

/// One of several builds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Build<'a> {
    /// The arguments that name what is built.
    pub(crate) what: &'a [String],
    /// The user whose checkout may be read.
    pub(crate) accepted: Option<u32>,
    /// The link to the result, if there is to be one.
    pub(crate) link: Option<&'a Path>,
    /// Further arguments.
    pub(crate) arguments: &'a [String],
    /// The recorded time limit.
    pub(crate) limit: Option<Duration>,
}

/// Receives the results of several builds, by their indices.
pub(crate) type OnBuilt<'a> = &'a (dyn Fn(usize, Result<StorePath, Unbuilt>) + Sync);

impl Nix<'_> {
    /// Builds an installable; `link`, if given, protects the result from garbage collection.
    pub(crate) fn build(
        &self,
        what: &[String],
        accepted: Option<u32>,
        link: Option<&Path>,
        arguments: &[String],
        limit: Option<Duration>,
    ) -> Result<StorePath, Unbuilt> {
        let call = self.build_call(what, accepted, link, arguments, limit).may_ask();
        output_path(what, call.ended_with(Messages::Live))
    }

    /// Performs several builds, at most `jobs` in parallel, and reports the end of each. None of them may prompt.
    pub(crate) fn build_all(&self, builds: &[Build], jobs: usize, built: OnBuilt) {
        let call = |build: &Build| {
            self.build_call(build.what, build.accepted, build.link, build.arguments, build.limit).passing_on()
        };
        program::run_all(builds.iter().map(call).collect(), jobs, &|at, ended| {
            built(at, output_path(builds[at].what, ended));
        });
    }

    fn build_call(
        &self,
        what: &[String],
        accepted: Option<u32>,
        link: Option<&Path>,
        arguments: &[String],
        limit: Option<Duration>,
    ) -> Program<'_> {
        let keep: Vec<&OsStr> = match link {
            Some(link) => vec![OsStr::new("--out-link"), link.as_os_str()],
            None => vec![OsStr::new("--no-link")],
        };
        let call = self.call_on("build", what.first().map_or("", String::as_str), accepted);
        // Nix keeps the evaluation cache of a flake locked while it builds: a build would wait for the others.
        let call = call.args(["--option", "eval-cache", "false"]);
        let call = call.arg("--print-out-paths").args(keep).args(what).args(arguments);
        match self.build_limit.or(limit) {
            Some(limit) => call.limit(limit),
            None => call,
        }
    }
}

/// Returns the path that a build has printed.
fn output_path(what: &[String], ended: Result<Ended>) -> Result<StorePath, Unbuilt> {
    let unbuilt = |cause, text: String| Unbuilt { cause, error: Failed::Program(text) };
    let ended = ended.map_err(|error| unbuilt(Some(Cause::Other), format!("{error:#}")))?;
    if !ended.status.success() {
        return Err(Unbuilt { cause: Cause::of(&ended.stderr), error: failure("build", &ended) });
    }
    let mut paths = ended.stdout.lines().map(str::trim).filter(|line| !line.is_empty());
    match (paths.next().map(str::parse), paths.next()) {
        (Some(Ok(path)), None) => Ok(path),
        _ => {
            let count = ended.stdout.lines().count();
            let text = format!("{}: nix built {count} paths, expected one", what.join(" "));
            Err(unbuilt(Some(Cause::Other), text))
        }
    }
}
