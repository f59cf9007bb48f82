//! `--version`: the versions of this program, and of the generator and unit helper that systemd runs.

use std::path::Path;
use std::rc::Rc;

use anyhow::Result;

use crate::base::host::Host;
use crate::base::screen::Screen;
use crate::fact::doctor::generator::{Answers, GeneratorSeen};
use crate::fact::doctor::seen::Unseen;

/// Prints the versions.
pub(crate) fn run(screen: &Screen) -> Result<()> {
    // A host that cannot be opened is no reason to hide this program's version.
    let seen =
        Host::open_to_read(Path::new("/"), false, Box::new(|_| {})).map(|host| GeneratorSeen::look(&host));
    screen.print(&text(seen.ok().as_ref()))
}

/// Runs it for a command line that asks for versions only.
pub(crate) fn answer(error: &clap::Error, screen: &Rc<Screen>) -> Option<Result<()>> {
    (error.kind() == clap::error::ErrorKind::DisplayVersion).then(|| run(screen))
}

fn text(seen: Option<&GeneratorSeen>) -> String {
    let own = format!("nixos-nspawn {}\n", env!("CARGO_PKG_VERSION"));
    let generator = match seen {
        None => return own,
        Some(GeneratorSeen::Answers(answers)) => return own + &installed(answers),
        Some(GeneratorSeen::Missing) => "not installed".to_owned(),
        Some(GeneratorSeen::Masked(path)) => format!("masked by {}", path.display()),
        Some(GeneratorSeen::Dangling(path)) => format!("{} leads nowhere", path.display()),
        Some(GeneratorSeen::Unseen(unseen)) => unseen.why.clone(),
        Some(GeneratorSeen::NotExecutable(path)) => format!("{} is not executable", path.display()),
        Some(GeneratorSeen::Unasked(path)) => path.display().to_string(),
        Some(GeneratorSeen::Strange(path, unseen)) => format!("{}: {}", path.display(), unseen.why),
    };
    format!("{own}generator: {generator}\n")
}

fn installed(Answers { generator, helper, .. }: &Answers) -> String {
    let place = generator.helper.display();
    let helper = match helper {
        None => format!("unit helper: {place} is missing"),
        Some(Ok(helper)) => format!("unit helper {}, {place}", helper.version),
        Some(Err(Unseen { why, .. })) => format!("unit helper: {place}: {why}"),
    };
    format!("generator {}, {}\n{helper}\n", generator.version, generator.path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fact::installation::Installed;

    fn one(version: &str, path: &str) -> Installed {
        Installed { path: path.into(), version: version.into(), helper: "/l/unit-helper".into() }
    }

    #[test]
    fn versions_are_told_apart() {
        let own = concat!("nixos-nspawn ", env!("CARGO_PKG_VERSION"), "\n");
        let of = |helper| {
            let generator = one("0.1.0", "/g");
            text(Some(&GeneratorSeen::Answers(Answers {
                generator,
                helper,
                by_setup: false,
                replaceable: None,
            })))
        };
        assert_eq!(text(None), own);
        assert_eq!(
            of(Some(Ok(one("0.3.0", "/l/unit-helper")))),
            format!("{own}generator 0.1.0, /g\nunit helper 0.3.0, /l/unit-helper\n")
        );
        assert!(of(None).ends_with("unit helper: /l/unit-helper is missing\n"));
        let missing = text(Some(&GeneratorSeen::Missing));
        assert_eq!(missing, format!("{own}generator: not installed\n"));
    }
}
