//! Recognises why Nix failed from its messages, and suggests the next step.

use nixos_nspawn_units::value::shown;

use crate::base::call::Ended;
use crate::base::exit::Failed;
use crate::base::program::ended;
use crate::nix::missing_host::missing_host;

/// Why Nix failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The flake registry does not have the name.
    Registry,
    /// A server refuses access, cannot prove its name, or does not have the source.
    Access,
    /// A server could not be reached.
    Network,
    /// A server does not give what it should.
    Server,
    /// A checkout belongs to another user.
    Owner,
    /// The daemon's socket refuses the caller.
    Daemon,
    /// The flake has no such attribute.
    Attribute,
    /// A file of a Git checkout is not tracked.
    Untracked,
    /// The disk is full.
    Space,
    /// A program that Nix calls is missing.
    Program,
    /// No machine can build for the system.
    System,
    /// A builder failed.
    Builder,
    /// An evaluation failed.
    Evaluation,
    /// A failure that is not Nix's.
    Other,
}

/// The text in Nix's message that precedes a name missing from its registries.
const UNREGISTERED: &str = "cannot find flake 'flake:";

/// Texts from messages of Nix, Git and curl. The first one found decides.
const TEXTS: [(&str, Cause); 52] = [
    (UNREGISTERED, Cause::Registry),
    ("is not owned by current user", Cause::Owner),
    ("dubious ownership", Cause::Owner),
    ("No space left on device", Cause::Space),
    ("error: cannot run ", Cause::Program),
    ("error: executing '", Cause::Program),
    ("is required to build '", Cause::System),
    ("required system or feature not available", Cause::System),
    ("database or disk is full", Cause::Space),
    ("Reason: platform mismatch", Cause::System),
    ("daemon-socket/socket", Cause::Daemon),
    ("big-lock': Permission denied", Cause::Daemon),
    ("HTTP error 401", Cause::Access),
    ("HTTP error 403", Cause::Access),
    ("HTTP error 404", Cause::Access),
    ("returned error: 401", Cause::Access),
    ("returned error: 403", Cause::Access),
    ("returned error: 404", Cause::Access),
    ("Authentication failed", Cause::Access),
    ("could not read Username", Cause::Access),
    ("could not read Password", Cause::Access),
    ("Permission denied (", Cause::Access),
    ("Host key verification failed", Cause::Access),
    ("Repository not found", Cause::Access),
    ("does not appear to be a git repository", Cause::Access),
    ("SSL certificate", Cause::Access),
    ("SSL peer certificate", Cause::Access),
    ("certificate verif", Cause::Access),
    ("Could not resolve host", Cause::Network),
    ("Couldn't resolve host", Cause::Network),
    ("Temporary failure in name resolution", Cause::Network),
    ("Name or service not known", Cause::Network),
    ("Resolving timed out", Cause::Network),
    ("Connection timed out", Cause::Network),
    ("Operation timed out", Cause::Network),
    ("Timeout was reached", Cause::Network),
    ("Connection refused", Cause::Network),
    ("Could not connect to server", Cause::Network),
    ("Couldn't connect to server", Cause::Network),
    ("Failed to connect to", Cause::Network),
    ("Network is unreachable", Cause::Network),
    ("No route to host", Cause::Network),
    ("unable to download", Cause::Server),
    ("Could not read from remote repository", Cause::Server),
    ("unable to access 'http", Cause::Server),
    ("does not provide attribute", Cause::Attribute),
    ("is not tracked by Git", Cause::Untracked),
    ("does not exist in Git repository", Cause::Untracked),
    ("builder for '", Cause::Builder),
    ("Cannot build '", Cause::Builder),
    ("while evaluating", Cause::Evaluation),
    ("error: ", Cause::Evaluation),
];

impl Cause {
    /// Returns the cause that the messages of Nix show, if it is known.
    pub(crate) fn of(messages: &str) -> Option<Self> {
        let found = TEXTS.iter().find(|(text, _)| messages.contains(text)).map(|(_, cause)| *cause);
        // The message about a missing option is similar.
        match found {
            Some(Self::Evaluation) if untracked(messages).is_some() => Some(Self::Untracked),
            found => found,
        }
    }

    /// Returns an explanation and the next step.
    pub(crate) fn explained(self, messages: &str) -> String {
        match self {
            Self::Registry => match unregistered(messages) {
                Some(name) => format!("the registry has no flake '{name}'; the flake of a directory is './{name}'"),
                None => "the registry has no such flake".to_owned(),
            },
            Self::Access => "the server refuses access, or has no such source; check the reference and its \
                             credentials"
                .to_owned(),
            Self::Server => {
                "a server did not give what it should; try again later, or check the reference".to_owned()
            }
            Self::Network => match missing_host(messages) {
                Some(host) => {
                    format!("host '{host}' cannot be found; check the network, and the reference and its inputs")
                }
                None => "a server could not be reached; check the network and the reference".to_owned(),
            },
            Self::Owner => "a checkout belongs to another user; call the program through sudo, or name the flake of \
                            that checkout with --flake"
                .to_owned(),
            Self::Daemon => {
                "Nix's daemon refuses this user; call the program as root, or see allowed-users in nix.conf(5)"
                    .to_owned()
            }
            Self::Attribute => "the flake has no such attribute; 'nix flake show' lists its attributes".to_owned(),
            Self::Untracked => {
                let file = untracked(messages).unwrap_or("a file");
                format!("{file} is missing, or not tracked by Git; if it is in a Git checkout, 'git add' it")
            }
            Self::Program => {
                let name = between(messages, "error: cannot run ", ":")
                    .or_else(|| between(messages, "error: executing '", "'"))
                    .map_or("a program that Nix calls".to_owned(), |name| format!("'{}'", shown(name)));
                format!("{name} is not installed, or not in PATH; install it")
            }
            Self::System => {
                let system = between(messages, "error: a '", "'")
                    .or_else(|| between(messages, "Required system: '", "'"))
                    .map_or("another system".to_owned(), shown);
                format!("nothing here builds for {system}; check --system, or see builders in nix.conf(5)")
            }
            Self::Space => "no space is left for Nix, in /nix or in its cache; 'nix-collect-garbage' frees some in /nix".to_owned(),
            Self::Builder => match derivation(messages) {
                Some(path) => format!("a build failed; 'nix log {path}' shows its output"),
                None => "a build failed; 'nix log' shows its output".to_owned(),
            },
            Self::Other => "a program called by Nix failed; its output is above".to_owned(),
            Self::Evaluation => {
                let why = reason(messages).map(|why| format!(" ({why})")).unwrap_or_default();
                format!("the configuration does not evaluate{why}; -v shows Nix's trace")
            }
        }
    }
}

/// Returns the text between two others.
fn between<'a>(messages: &'a str, before: &str, after: &str) -> Option<&'a str> {
    Some(messages.split_once(before)?.1.split_once(after)?.0)
}

/// Returns what Nix says last: the cause of an error follows where it happened.
fn reason(messages: &str) -> Option<String> {
    let lines: Vec<&str> = messages.lines().map(str::trim).collect();
    let at = lines.iter().rposition(|line| line.starts_with("error:"))?;
    let first = lines[at].strip_prefix("error:")?.trim_end_matches("Definition values:").trim();
    // Failed assertions are on lines of their own.
    let below = lines[at + 1..].iter().filter(|line| !line.is_empty()).take(2);
    let text = if first.is_empty() { below.copied().collect::<Vec<_>>().join(" ") } else { first.to_owned() };
    (!text.is_empty()).then(|| shown(&text))
}

/// Returns the derivation that failed.
fn derivation(messages: &str) -> Option<&str> {
    let after = ["builder for '", "Cannot build '"].iter().find_map(|text| messages.split_once(text))?.1;
    let path = after.split_once('\'')?.0;
    path.starts_with("/nix/store/").then_some(path)
}

/// Returns the file of a flake that Nix does not see, relative to its checkout. Nix 2.26 names it in the store.
fn untracked(messages: &str) -> Option<&str> {
    const FORMS: [(&str, &str); 5] = [
        ("error: path '", "' does not exist"),
        ("error: opening file '", "': No such file or directory"),
        ("error: path '", "' is not tracked by Git"),
        ("error: Path '", "' in the repository "),
        ("error: Path '", "' does not exist in Git repository "),
    ];
    messages.lines().find_map(|line| {
        let path = FORMS.iter().find_map(|(before, after)| {
            let (path, rest) = line.split_once(before)?.1.split_once(after)?;
            (rest.trim().is_empty() || after.ends_with(' ')).then_some(path)
        })?;
        let in_store = path.split_once("/nix/store/").and_then(|(_, path)| path.split_once('/'));
        let path = in_store.map_or(path, |(_, below)| below);
        // Nix writes some with two slashes.
        Some(if path.starts_with("//") { &path[1..] } else { path })
    })
}

/// Returns the name that is missing from the registry.
fn unregistered(messages: &str) -> Option<&str> {
    Some(messages.split_once(UNREGISTERED)?.1.split_once('\'')?.0)
}

/// Returns whether Nix used its cache because a server could not be reached.
pub(crate) fn used_cache(messages: &str) -> bool {
    ["using cached version", "continuing with the most recent version"]
        .iter()
        .any(|text| messages.contains(text))
}

/// Returns why a server must not be taken for one that cannot be reached, if it answered: what Nix has may be out of date for ever.
pub(crate) fn answered(messages: &str) -> Option<Failed> {
    let cause = Cause::of(messages).filter(|cause| matches!(cause, Cause::Access | Cause::Server))?;
    Some(Failed::Program(format!("nix flake metadata: {}", cause.explained(messages))))
}

/// A build that failed.
#[derive(Debug)]
pub(crate) struct Unbuilt {
    /// The cause, if the messages of Nix were captured and show it.
    pub(crate) cause: Option<Cause>,
    /// The error.
    pub(crate) error: Failed,
}

impl Unbuilt {
    /// Returns the error.
    pub(crate) fn error(self) -> Failed {
        self.error
    }
}

/// Returns the error for a failed call, with its cause and the next step if they are known. Nix's own messages
/// have already been passed on.
pub(crate) fn failure(command: &str, answer: &Ended) -> Failed {
    let how = self::ended(answer.status);
    let why = match Cause::of(&answer.stderr) {
        Some(cause) => format!(": {}", cause.explained(&answer.stderr)),
        None => String::new(),
    };
    Failed::Program(format!("nix {command}: {how}{why}"))
}

#[cfg(test)]
mod tests;
