//! Reports missing credentials by name. If a credential's file is missing, systemd fails the start with
//! 243/CREDENTIALS and does not name it. If the credential store lacks one, systemd skips it, and nspawn fails. The
//! credentials are read from the generated drop-in.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use nixos_nspawn_units::copies::GENERATOR_DIRECTORY;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::plan::DROP_IN;
use nixos_nspawn_units::service::{TEMPLATE, unit_name};
use systemd_unit_syntax::{UnitFile, parse};

use crate::failure::Failure;
use crate::log::Log;

/// A credential of a container: its ID, and the file or name it is loaded from.
struct Credential {
    id: String,
    source: String,
}

/// Fails if systemd did not find a credential. Warns if the drop-in replaces an unusual command line of the host's
/// template.
pub(crate) fn check(root: &Path, name: &MachineName, log: &Log) -> Result<(), Failure> {
    let credentials = credentials(root, name);
    // Outside a unit, nothing has loaded them.
    if credentials.is_empty() || env::var_os("INVOCATION_ID").is_none() {
        return Ok(());
    }
    let directory = env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from).unwrap_or_default();
    for Credential { id, source } in &credentials {
        if !directory.join(id).exists() {
            return Err(Failure::new(format!(
                "credential '{id}' of container '{name}': the host's credential store has no '{source}' \
                 (systemd.exec(5), LoadCredential=), container '{name}' is not started; put it into /etc/credstore, or \
                 into /etc/credstore.encrypted if it is encrypted"
            )));
        }
    }
    if let Some((path, line)) = foreign_template(root) {
        log.warning(&format!(
            "{}: its ExecStart= '{line}' is not used, because container '{name}' has credentials and is started with \
             '{TEMPLATE}' and these",
            path.display()
        ));
    }
    Ok(())
}

/// Logs the missing credential files after a failed start.
pub(crate) fn explain(root: &Path, name: &MachineName, log: &Log) {
    if env::var("SERVICE_RESULT").is_ok_and(|result| result != "success") {
        let files =
            credentials(root, name).into_iter().filter(|credential| credential.source.starts_with('/'));
        for Credential { id, source } in files {
            if let Err(error) = fs::metadata(root.join(source.trim_start_matches('/'))) {
                log.error(&format!(
                    "{source}: {error}, container '{name}' cannot start without credential '{id}'"
                ));
            }
        }
    }
}

/// Returns the credentials in the drop-in that nspawn passes on.
fn credentials(root: &Path, name: &MachineName) -> Vec<Credential> {
    let path = root.join(GENERATOR_DIRECTORY).join(format!("{}.d", unit_name(name))).join(DROP_IN);
    let Some(file) = read(&path) else { return Vec::new() };
    let passed: Vec<&str> = file.values("Service", "ExecStart").collect();
    let loaded = file
        .values("Service", "LoadCredential")
        .chain(file.values("Service", "LoadCredentialEncrypted"))
        .map(|value| {
            let value = value.replace("%%", "%");
            let (id, source) = value.split_once(':').unwrap_or((&value, &value));
            Credential { id: id.to_owned(), source: source.to_owned() }
        });
    // A free-form LoadCredential= is for nspawn itself.
    loaded
        .filter(|credential| {
            let argument = format!("--load-credential={0}:{0}", credential.id);
            let escaped = systemd_unit_syntax::escape::exec_argument(&argument);
            escaped.is_ok_and(|word| passed.iter().any(|line| line.contains(&word)))
        })
        .collect()
}

/// Returns the host's template and its command line, unless that is the usual one.
fn foreign_template(root: &Path) -> Option<(PathBuf, String)> {
    // The directories of systemd's unit path (systemd.unit(5)) that may hold the template.
    let folders = [
        "etc/systemd/system",
        "run/systemd/system",
        "usr/local/lib/systemd/system",
        "usr/lib/systemd/system",
    ];
    let path = folders
        .iter()
        .map(|folder| root.join(folder).join("systemd-nspawn@.service"))
        .find(|path| path.exists())?;
    let file = read(&path)?;
    let line = file.values("Service", "ExecStart").last()?.to_owned();
    // On NixOS the command line has the full path of nspawn.
    let known = |line: &str| {
        let program = line.split(' ').next().unwrap_or_default();
        program.rsplit('/').next() == Some("systemd-nspawn")
            && line.split_whitespace().skip(1).eq(TEMPLATE.split_whitespace().skip(1))
    };
    (!known(&line)).then_some((path, line))
}

fn read(path: &Path) -> Option<UnitFile> {
    let text = fs::read(path).ok()?;
    Some(parse(&text).ok()?.file)
}
