//! The host's end of a container's network: networkd gets the generated file as soon as an update has made it, since a
//! running container need not notice. Failures are told and keep nothing from going on; the next start tries again.

use std::fs;
use std::time::Duration;

use nixos_nspawn_units::copies;
use nixos_nspawn_units::copies::generated;
use nixos_nspawn_units::name::MachineName;
use nixos_nspawn_units::network::file_name;

use crate::base::context::Context;
use crate::base::output;

/// How long networkd may take to read its files.
const LIMIT: Duration = Duration::from_secs(5);

/// Gives networkd what the generator wrote for the container, or takes the file away where it wrote none.
pub(crate) fn apply(context: &Context, name: &MachineName) {
    // Of a container that has not started yet, `--prepare` takes care.
    let text = fs::read(generated(&context.root, &file_name(name))).ok();
    let present = copies::network_path(&context.root, name).exists();
    if present || (text.is_some() && copies::runs(&context.root, name)) {
        put(context, name, text.as_deref());
    }
}

/// Takes the container's file away.
pub(crate) fn remove(context: &Context, name: &MachineName) {
    put(context, name, None);
}

fn put(context: &Context, name: &MachineName, text: Option<&[u8]>) {
    let path = copies::network_path(&context.root, name);
    match copies::put_network(&context.root, name, text) {
        Ok(true) if context.live() && runs(context) => {
            if let Err(error) = context.program("networkctl").arg("reload").limit(LIMIT).output() {
                output::tell(&format!("{}: networkd could not be told of it: {error:#}", path.display()));
            }
        }
        Ok(_) => {}
        Err(error) => output::tell(&format!("{}: {error}", path.display())),
    }
}

/// Whether networkd runs on the host.
pub(crate) fn runs(context: &Context) -> bool {
    let words = ["is-active", "--quiet", "systemd-networkd.service"];
    context.program("systemctl").args(words).output_if_any().is_some()
}
