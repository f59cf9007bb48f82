//! Decides whether a container may reach further into its host, from the changes, from what the administrator accepts,
//! and from whether it was accepted before. Pure.

use nixos_nspawn_units::reach::Changes;

/// What the administrator accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Consent<'a> {
    /// No additional reach.
    Nothing,
    /// Any additional reach.
    Anything,
    /// Exactly the additions that this token stands for.
    Exactly(&'a str),
}

/// The verdict on a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is allowed.
    Allowed,
    /// The administrator must accept it first.
    NeedsConsent,
    /// Something else was accepted.
    OtherConsent {
        /// The token of what was accepted.
        given: String,
    },
}

/// Returns the verdict. `token` is that of the changes; `approved` tells whether the same options were accepted before.
pub(crate) fn verdict(changes: &Changes, token: Option<&str>, consent: Consent, approved: bool) -> Verdict {
    if !changes.adds() {
        return Verdict::Allowed;
    }
    match consent {
        Consent::Anything => Verdict::Allowed,
        Consent::Exactly(given) if token == Some(given) => Verdict::Allowed,
        Consent::Exactly(given) => Verdict::OtherConsent { given: given.to_owned() },
        Consent::Nothing if approved => Verdict::Allowed,
        Consent::Nothing => Verdict::NeedsConsent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_by_change_and_consent() {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let more = Changes { gained: list(&["write /srv"]), ..Changes::default() };
        let lifted = Changes { no_longer_restricted: list(&["may act as root"]), ..Changes::default() };
        let larger = Changes { may_take_more: list(&["MemoryMax=2G"]), ..Changes::default() };
        let less = Changes { lost: list(&["write /srv"]), ..Changes::default() };
        let other = || Verdict::OtherConsent { given: "other".to_owned() };
        use Consent::{Anything, Exactly, Nothing};
        use Verdict::{Allowed, NeedsConsent};
        for (changes, consent, approved, expected) in [
            (&Changes::default(), Nothing, false, Allowed),
            (&Changes::default(), Exactly("other"), false, Allowed),
            (&less, Nothing, false, Allowed),
            (&less, Exactly("other"), false, Allowed),
            (&more, Nothing, false, NeedsConsent),
            (&lifted, Nothing, false, NeedsConsent),
            (&larger, Nothing, false, NeedsConsent),
            (&more, Anything, false, Allowed),
            (&more, Exactly("token"), false, Allowed),
            (&more, Exactly("other"), false, other()),
            (&more, Exactly(""), false, Verdict::OtherConsent { given: String::new() }),
            (&more, Nothing, true, Allowed),
            // A token accepts nothing more, whatever was accepted before.
            (&more, Exactly("other"), true, other()),
        ] {
            let found = verdict(changes, Some("token"), consent, approved);
            assert_eq!(found, expected, "{changes:?} {consent:?} {approved}");
        }
    }
}
