//! The gate before a change: options that let a container reach further into its host need the administrator's consent.

use anyhow::Result;
use nixos_nspawn_units::intent::Intent;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::reach::{Changes, changes};
use serde::Serialize;

use crate::base::event::Event;
use crate::base::exit::unchanged;
use crate::base::host::Host;
use crate::decision::reach::{Consent, Verdict, verdict};
use crate::fact::setuid_places;

/// Whether options were accepted before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Approved {
    /// They are those of a generation in the container's profile. Each came there with consent: by `create`, or by an
    /// update behind this gate. A generation that is deleted takes its approval along, and one that gets its number
    /// passes the gate itself.
    Before,
    /// They are new.
    No,
}

/// What changes in the reach, as scripts see it.
#[derive(Debug, Clone, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(crate) struct ReachPlan {
    #[serde(flatten)]
    pub(crate) changes: Changes,
    /// The token with which `--allow-host-changes` accepts exactly these additions; null if there are none.
    pub(crate) token: Option<String>,
    /// Whether the change is refused without it.
    pub(crate) needs_consent: bool,
}

/// Finds out what a change does to the reach.
pub(crate) fn plan(host: &Host, old: &Intent, new: &Intent, approved: Approved) -> ReachPlan {
    let changes = changes(&old.container, &new.container);
    let token = changes.token(&key(host));
    let answer = decide(host, &changes, token.as_deref(), Consent::Nothing, approved);
    ReachPlan { needs_consent: answer != Verdict::Allowed, changes, token }
}

/// Refuses additions that nobody accepted; returns the changes.
pub(crate) fn check(
    host: &Host,
    name: &MachineName,
    [old, new]: [&Intent; 2],
    consent: Consent,
    approved: Approved,
) -> Result<Changes> {
    let changes = changes(&old.container, &new.container);
    let token = changes.token(&key(host));
    let added = || changes.added().join("; ");
    let why = match decide(host, &changes, token.as_deref(), consent, approved) {
        Verdict::Allowed => return Ok(changes),
        Verdict::NeedsConsent => {
            format!("container '{name}' would reach further into the host than before ({})", added())
        }
        Verdict::OtherConsent { given } => {
            format!(
                "container '{name}': --allow-host-changes={given} does not stand for what would be added ({})",
                added()
            )
        }
    };
    let token = token.unwrap_or_default();
    if let Some(text) = setuid_places::warning(host, name, new, Some(old)) {
        host.report(Event::Note { name: name.clone(), text });
    }
    unchanged(why, format!("--allow-host-changes={token} accepts exactly that"))
}

fn decide(
    host: &Host,
    changes: &Changes,
    token: Option<&str>,
    consent: Consent,
    approved: Approved,
) -> Verdict {
    let consent = match consent {
        Consent::Nothing if host.config.allow_host_changes => Consent::Anything,
        given => given,
    };
    verdict(changes, token, consent, approved == Approved::Before)
}

/// Returns the key of the tokens: the machine ID, which is confidential (`machine-id(5)`). An author who knew the key
/// could search for two additions with the same token. Without a machine ID, tokens still detect accidents.
fn key(host: &Host) -> [u8; 16] {
    let text = std::fs::read_to_string(host.path("/etc/machine-id")).unwrap_or_default();
    u128::from_str_radix(text.trim(), 16).unwrap_or_default().to_be_bytes()
}
