//! The checks of `doctor`, in the order in which they are shown.

use anyhow::Result;
use clap_complete::Shell;

use crate::base::context::Context;
use crate::command::completions::script;
use crate::decision::doctor::completions::completions;
use crate::decision::doctor::firewall::firewall;
use crate::decision::doctor::network_files::network_files;
use crate::decision::doctor::ports::ports;
use crate::decision::doctor::sources::sources;
use crate::decision::doctor::space::space;
use crate::decision::doctor::verdict::Verdict;
use crate::decision::doctor::{file_systems, generator, limits, names, network, nix, records, units};
use crate::fact::doctor::completions::{Script, installed};
use crate::fact::doctor::file_systems as seen_file_systems;
use crate::fact::doctor::firewall::FirewallSeen;
use crate::fact::doctor::generator::{GeneratorSeen, HostFacts};
use crate::fact::doctor::limits::LimitsSeen;
use crate::fact::doctor::names::{Collisions, Lookup};
use crate::fact::doctor::network::{NetworkSeen, addressed};
use crate::fact::doctor::network_files::NetworkFiles;
use crate::fact::doctor::nix::NixSeen;
use crate::fact::doctor::ports::AllPorts;
use crate::fact::doctor::records as seen_records;
use crate::fact::doctor::records::{LitterSeen, RootsSeen};
use crate::fact::doctor::sources::SourcesSeen;
use crate::fact::doctor::space::spaces;
use crate::fact::overview::Overview;
use crate::host::networkd_conf::at_risk;

/// Makes all checks. In an offline tree, those of files only.
pub(super) fn look(context: &Context) -> Result<Vec<Verdict>> {
    let overview = Overview::gather(context)?;
    let generator = GeneratorSeen::look(context);
    let mut all = vec![generator::generator(&generator)];
    all.extend(generator::versions(&generator, env!("CARGO_PKG_VERSION")));
    all.extend(completions(&installed(context, &scripts()?)));
    all.extend(HostFacts::look(context).map(|facts| generator::host_facts(&facts)));
    all.extend(units::intents(&overview));
    match context.booted() {
        true => all.extend(units::units(&overview)),
        false if context.live() => all.push(units::not_booted()),
        false => {}
    }
    all.extend(names::collisions(&Collisions::look(context, &overview)));
    all.extend(networks(context, &overview));
    if context.live() {
        all.extend(kernel(context, &overview));
    }
    all.push(file_systems::journal(&seen_file_systems::journal(context)));
    if context.live() {
        let nix = NixSeen::look(context, &overview);
        all.extend([nix::program(&nix), nix::store(&nix), nix::daemon(&nix)]);
    }
    all.extend(sources(&SourcesSeen::look(context, &overview)));
    all.extend(records::records(&seen_records::records(context, &overview)));
    let roots = RootsSeen::look(context, &overview);
    all.extend(records::roots(&roots));
    all.extend(records::pins(&roots));
    all.extend(records::litter(&LitterSeen::look(context, &overview)));
    all.extend(spaces(context).iter().flat_map(space));
    let nixos = context.path("/etc/NIXOS").exists();
    let all = units::without_the_unseen(all, &overview);
    Ok(all.into_iter().map(|verdict| verdict.for_host(nixos)).collect())
}

/// Makes the checks of the network.
fn networks(context: &Context, overview: &Overview) -> Vec<Verdict> {
    let files = network_files(&NetworkFiles::look(context, overview));
    let lookup = names::lookup(&Lookup::look(context, overview));
    if !context.booted() {
        return files.into_iter().chain([lookup]).collect();
    }
    let seen = NetworkSeen::look(context, overview);
    let mut all = match &seen {
        Ok(seen) => vec![network::networkd(seen), network::foreign_rules(seen)],
        Err(unseen) => vec![network::unknown(unseen)],
    };
    all.extend(files);
    all.extend(seen.iter().flat_map(network::forwarding));
    all.extend(firewall(&FirewallSeen::look(context, overview)));
    all.extend(network::addresses(&addressed(overview, context)));
    all.extend(ports(&AllPorts::look(context, overview), &at_risk(context)));
    all.push(lookup);
    all
}

/// Makes the checks of what the kernel offers.
fn kernel(context: &Context, overview: &Overview) -> Vec<Verdict> {
    let seen = LimitsSeen::look(context, overview);
    let mut all = vec![
        limits::inotify(&seen),
        limits::files(&seen),
        limits::processes(&seen),
        limits::namespaces(&seen),
    ];
    all.extend(file_systems::mapped(&seen_file_systems::mapped(context, overview)));
    all.extend(file_systems::control_groups(&seen_file_systems::control_groups(context, overview)));
    all
}

/// Returns the completion scripts, with their places as `make install` has them.
fn scripts() -> Result<Vec<Script>> {
    let places = [
        (Shell::Bash, "bash", "bash-completion/completions/nixos-nspawn"),
        (Shell::Zsh, "zsh", "zsh/site-functions/_nixos-nspawn"),
        (Shell::Zsh, "zsh", "zsh/vendor-completions/_nixos-nspawn"),
        (Shell::Fish, "fish", "fish/vendor_completions.d/nixos-nspawn.fish"),
    ];
    places.into_iter().map(|(of, shell, file)| Ok(Script { shell, file, text: script(of)? })).collect()
}
