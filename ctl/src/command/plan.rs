//! `plan`: builds as an update would and shows what it would change and do. It changes nothing but the Nix store.

use anyhow::Result;

use crate::base::context::Context;
use crate::cli::Plan;
use crate::command::{arguments, overrides, planned};

/// Runs the command.
pub(crate) fn run(context: &Context, given: &Plan) -> Result<()> {
    let overrides = overrides::changes(&given.overrides, &given.unset)?;
    let built = arguments::built(&given.from.built, given.from.build_on_host)?;
    let source = arguments::source(&given.from, &given.nix_args, false, &built);
    let names = || arguments::names(context, &given.names, given.all, &given.from);
    let how = planned::How {
        refresh: !given.from.no_refresh,
        strategy: given.strategy.map(arguments::strategy),
        all: given.all,
        retry: false,
        exit_code: given.exit_code,
    };
    planned::run(context, names, (&source, overrides.as_ref()), how)
}
