//! The files and links of one container, accepted or refused.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::contents::{
    DROP_IN, EXTENSION, Entry, Files, MARKER, NETWORK_ASKED, NETWORK_HASH, NETWORK_NAME, OWN_DIRECTORY,
    Planned, file, header,
};
use super::hash::plan_hash;
use super::network::{Needed, Zones, network};
use super::writable::Writable;
use crate::boot::BootLimit;
use crate::intent::Dependency;
use crate::invalid::brief;
use crate::name::MachineName;
use crate::nspawn::nspawn_file;
use crate::ordering::{Order, waits_for};
use crate::service::{PLAN_VARIABLE, drop_in, refusing_drop_in, unit_name};
use crate::socket::{Socket, sockets};
use crate::store::{HOST_FILE, Kind, Stored};
use crate::version::unmet;
use systemd_unit_syntax::escape::EscapeError;

/// What a container's files depend on besides its intent.
pub(super) struct Surroundings<'a> {
    pub(super) systemd: u32,
    pub(super) order: Order<'a>,
    pub(super) limit: BootLimit<'a>,
    pub(super) zones: Zones<'a>,
}

/// Returns the hash and the files of a good intent, or why it is refused.
pub(super) fn accepted(
    stored: &Stored,
    warnings: &[String],
    host: &Surroundings,
    writable: Option<&mut Writable>,
) -> Result<(String, Files), String> {
    let Stored { name, intent, kind: _, path } = stored;
    // The types of an intent exclude everything that cannot be escaped. If they miss something, the container is
    // refused.
    let unwritable = |error: EscapeError| error.to_string();
    let mut nspawn = nspawn_file(intent).map_err(unwritable)?;
    if let Some(writable) = writable {
        writable.add(name, &nspawn);
    }
    if let Some(unmet) = unmet(&nspawn, host.systemd) {
        return Err(format!("{unmet} ({HOST_FILE})"));
    }
    let mut unit = drop_in(name, intent, path).map_err(unwritable)?;
    let sockets = sockets(name, intent, path).map_err(unwritable)?;
    let needed = network(name, &intent.container, path, host.systemd, &host.zones);
    if let Some(network) = needed.as_ref().map(Needed::network) {
        // Tells `--prepare` which file to wait for while a daemon-reload fills the directory; nspawn skips it.
        let extension = nspawn.section(EXTENSION);
        extension.set(NETWORK_HASH, network.hash.as_str());
        extension.set(NETWORK_NAME, network.file_name.as_str());
        if intent.container.host_network_config.is_some() {
            extension.set(NETWORK_ASKED, "yes");
        }
        network.entry.as_ref().map_err(String::clone)?;
    }
    // The hash leaves out what depends on other containers, so that a change in another container does not look like
    // one here.
    let of_sockets = sockets.iter().flat_map(|socket| [&socket.socket_file, &socket.service_file]);
    let hash = plan_hash([&nspawn, &unit].into_iter().chain(of_sockets));
    let left_out: BTreeSet<String> =
        waits_for(intent).filter(|other| host.order.leaves_out(name, other)).map(Dependency::unit).collect();
    if !left_out.is_empty() {
        unit.sections.iter_mut().for_each(|section| {
            section.remove_if(|key, value| key == "After" && left_out.contains(value));
        });
    }
    if let Some(section) = unit.sections.iter_mut().find(|section| section.name == "Unit") {
        // The hash has the sockets' own files, which say the same.
        for socket in sockets.iter().filter(|socket| !socket.start_on_connect) {
            section.set("Wants", socket.unit.as_str());
        }
    }
    host.limit.apply(name, &mut unit);
    nspawn.comment([MARKER, &hash].concat());
    header(&mut nspawn, path);
    header(&mut unit, path);
    for warning in warnings {
        unit.comment(format!("warning: {warning}"));
    }
    if let Some(service) = unit.sections.iter_mut().find(|section| section.name == "Service") {
        service.set("Environment", [PLAN_VARIABLE, "=", &hash].concat());
    }
    let mut files = Vec::with_capacity(5 + 3 * sockets.len());
    let own_unit = unit_name(name);
    files.push(([OWN_DIRECTORY, "/", name.as_str(), ".nspawn"].concat(), file(&nspawn)?));
    files.push(([&own_unit, ".d/", DROP_IN].concat(), file(&unit)?));
    if intent.starts_at_boot() {
        files.extend(wants(&own_unit));
    }
    for socket in sockets {
        files.extend(socket_units(path, socket)?);
    }
    if let Some(needed) = needed.filter(Needed::is_new) {
        let network = needed.network();
        files.push(([OWN_DIRECTORY, "/", &network.file_name].concat(), network.entry.clone()?));
    }
    Ok((hash, files))
}

/// Returns the files of a forward by a socket. One that starts the container has a link which starts it with the host's other
/// sockets; the others are wanted by the container.
fn socket_units(path: &str, socket: Socket) -> Result<impl Iterator<Item = (String, Entry)>, String> {
    let Socket { unit, service, start_on_connect, host_side: _, mut socket_file, mut service_file } = socket;
    header(&mut socket_file, path);
    header(&mut service_file, path);
    let link = start_on_connect.then(|| {
        let link = Entry::Link(Cow::Owned(["../", &unit].concat()));
        (["sockets.target.wants/", &unit].concat(), link)
    });
    let files = [(unit, file(&socket_file)?), (service, file(&service_file)?)];
    Ok(link.into_iter().chain(files))
}

/// Returns the files of a refused intent: it stays visible and starts nothing.
pub(super) fn refused(
    name: &MachineName,
    kind: Kind,
    path: &str,
    reason: &str,
    autostart: bool,
) -> (Planned, Files) {
    // Whatever the reason quotes, the files that refuse the start must be readable.
    let reason = brief(reason);
    let mut unit = refusing_drop_in(name, path);
    header(&mut unit, path);
    unit.comment(format!("refused: {reason}"));
    let unit = file(&unit).unwrap_or_else(|_| Entry::File(refusing_drop_in(name, "/").text()));
    let refusal = format!(
        "{reason}, container '{name}' is not started; correct the file, then run 'systemctl daemon-reload'\n"
    );
    let mut files = vec![
        (format!("{}.d/{DROP_IN}", unit_name(name)), unit),
        (format!("{OWN_DIRECTORY}/{name}.refused"), Entry::File(refusal)),
    ];
    if autostart {
        files.extend(wants(&unit_name(name)));
    }
    let planned = Planned {
        name: name.clone(),
        kind,
        hash: None,
        autostart,
        warnings: Vec::new(),
        refusal: Some(reason),
    };
    (planned, files)
}

/// Returns the links that start the container with the host. machines.target may be off, and pulling it in would also
/// start foreign containers, so multi-user.target wants the container as well. The link's target only serves as a name.
fn wants(unit: &str) -> [(String, Entry); 2] {
    ["machines.target.wants/", "multi-user.target.wants/"].map(|directory| {
        ([directory, unit].concat(), Entry::Link(Cow::Borrowed("../systemd-nspawn@.service")))
    })
}
