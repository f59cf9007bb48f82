//! Checks the JSON files: intents, the options of profiles, and host.json. Of these the first fault is found.

use super::finding::{Effect, Finding, Place};
use super::nspawn::nspawn;
use crate::intent::{self, Fault, Intent, LeftOut};
use crate::name::MachineName;
use crate::nspawn::nspawn_file;
use crate::store::Host;

/// Checks an intent (`nixos-nspawn.json(5)`) in a file of this name, without `.json`, and the `.nspawn` file that is made
/// of it, which can have settings that this systemd does not know, or free-form ones with wrong values.
pub fn intent(bytes: &[u8], name: &MachineName, systemd: u32) -> Vec<Finding> {
    let intent = match intent::parse(bytes, name) {
        Ok(intent) => intent,
        Err(fault) => return vec![refused(fault)],
    };
    nspawn_of(&intent, systemd)
}

/// Checks the `.nspawn` file that is made of an intent. The findings have no lines: the file does not exist yet.
pub fn nspawn_of(intent: &Intent, systemd: u32) -> Vec<Finding> {
    match nspawn_file(intent) {
        Ok(file) => {
            let found = nspawn(file.text().as_bytes(), systemd).into_iter();
            found.map(|finding| Finding { line: None, ..finding }).collect()
        }
        Err(error) => vec![Finding { reason: error.to_string(), ..Finding::default() }],
    }
}

/// Checks the options of a profile, data.json.
pub fn data(bytes: &[u8]) -> Vec<Finding> {
    match intent::parse_data(bytes) {
        Err(fault) => vec![refused(fault)],
        Ok(reading) => {
            let left_out = |LeftOut { field, reason, meant }| {
                let place = (!field.is_empty()).then_some(Place::Field(field));
                Finding { place, reason, meant, effect: Effect::Ignored, ..Finding::default() }
            };
            reading.warnings.into_iter().map(left_out).collect()
        }
    }
}

/// Checks host.json, which tells the generator about the host.
pub fn host(bytes: &[u8]) -> Vec<Finding> {
    intent::typed::<Host>(bytes).err().map(refused).into_iter().collect()
}

fn refused(fault: Fault) -> Finding {
    let Fault { line, column, field, reason, meant } = fault;
    let place = (!field.is_empty()).then_some(Place::Field(field));
    Finding { line, column, place, reason, meant, ..Finding::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pretty_assertions::assert_eq;

    fn shown(findings: &[Finding]) -> String {
        findings
            .iter()
            .map(|finding| format!("{:?} {:?} {finding}\n", finding.line, finding.effect))
            .collect()
    }

    #[test]
    fn faults_have_line_and_field() {
        let name = "web".parse().expect("a name");
        let text = b"{\n \"version\": 1,\n \"toplevl\": \"/x\"\n}";
        let fault = "Some(3) Refused field 'toplevl': is not known; did you mean 'toplevel'?\n";
        assert_eq!(shown(&intent(text, &name, 257)), fault);
        let toplevel = "/nix/store/76w2yc1b7q0sbgxcwhw49lhkqhqmic57-nixos-system-web";
        let network = r#"{"NamespacePath": ["/run/netns/a"], "Port": ["x"]}"#;
        let text = format!(
            r#"{{"version": 1, "toplevel": "{toplevel}", "container": {{"nspawnConfig": {{"Network": {network}}}}}}}"#
        );
        let free = "None Ignored [Network] NamespacePath=: is known since version 259 only, ignored
None Ignored [Network] Port=: 'x' is not a port (1 to 65535), ignored\n";
        assert_eq!(shown(&intent(text.as_bytes(), &name, 257)), free);
        let left_out = "None Ignored field 'zne': is not known, left out; did you mean 'zone'?\n";
        assert_eq!(shown(&data(b"{\"zne\": 1}")), left_out);
        assert_eq!(shown(&host(b"{\"version\": 1}")), "Some(1) Refused missing field 'systemd'\n");
        assert_eq!(host(b"{\"version\": 1, \"systemd\": 257}"), []);
    }
}
