//! Reads a profile's data.json, written by ours or python-nixos-nspawn's builder, into checked options.

use std::fmt;

use super::parse::{basic, text_of, version};
use super::{Container, Fault, Strategy};
use crate::invalid::shown;
use crate::json::{self, PassedOver, find};
use crate::nearest::nearest;

/// The maximum number of unknown fields that are reported one by one.
const TOLD: usize = 20;

/// The options read from a profile's data.json, and what was left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reading {
    /// The options.
    pub container: Container,
    /// The fields of a data.json without version that are not known, each with the consequence.
    pub warnings: Vec<LeftOut>,
}

/// A field of a data.json that is not known. Its text is for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// The path of the field; empty for the last of many, which stands for the rest.
    pub field: String,
    /// What is wrong, with the consequence.
    pub reason: String,
    /// The known name that may be meant.
    pub meant: Option<String>,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.field.is_empty() {
            write!(out, "field '{}': ", shown(&self.field))?;
        }
        out.write_str(&self.reason)?;
        match &self.meant {
            Some(meant) => write!(out, "; did you mean '{meant}'?"),
            None => Ok(()),
        }
    }
}

/// Reads the options in a profile's data.json. With `version`, an unknown field is an error. Without, as
/// python-nixos-nspawn writes it, an unknown field is left out with a warning, and the default strategy is
/// python-nixos-nspawn's: restart.
pub fn parse_data(bytes: &[u8]) -> Result<Reading, Fault> {
    let text = text_of(bytes)?;
    basic(text)?;
    if version(text)? {
        let container = json::read_except(text, "version").map_err(|error| Fault::of(text, &error))?;
        return Ok(Reading { container, warnings: Vec::new() });
    }
    let (mut container, passed_over) =
        json::read_known::<Container>(text, "version").map_err(|error| Fault::of(text, &error))?;
    // python-nixos-nspawn restarts by default.
    if find(text, &["activation", "strategy"]).is_none_or(|strategy| strategy.text == "null") {
        container.activation.strategy = Strategy::Restart;
    }
    let left_out = |field: &PassedOver| LeftOut {
        field: field.field.clone(),
        reason: "is not known, left out".to_owned(),
        meant: nearest(&field.name, field.known.iter().copied()).map(str::to_owned),
    };
    let mut warnings: Vec<LeftOut> = passed_over.iter().take(TOLD).map(left_out).collect();
    if passed_over.len() > TOLD {
        let reason = format!("{} more fields are not known, left out", passed_over.len() - TOLD);
        warnings.push(LeftOut { reason, ..LeftOut::default() });
    }
    Ok(Reading { container, warnings })
}

#[cfg(test)]
mod tests {
    use super::parse_data;
    use crate::intent::Strategy;

    #[test]
    fn the_default_strategy_of_a_profile() {
        let strategy =
            |text: &str| parse_data(text.as_bytes()).map(|data| data.container.activation.strategy);
        for text in
            ["{}", r#"{"activation": null}"#, r#"{"activation": {"strategy": null, "autoStart": false}}"#]
        {
            assert_eq!(strategy(text), Ok(Strategy::Restart), "{text}");
            let versioned = text.replacen('{', r#"{"version": 1, "zone": null, "#, 1).replace(", }", "}");
            assert_eq!(strategy(&versioned), Ok(Strategy::Dynamic), "{versioned}");
        }
        assert_eq!(strategy(r#"{"activation": {"strategy": "reload"}}"#), Ok(Strategy::Reload));
        assert!(strategy(r#"{"activation": []}"#).is_err());
    }
}
