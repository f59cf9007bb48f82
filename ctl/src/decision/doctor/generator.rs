//! Judges the generator, its unit helper, and what it knows about the host.

use std::path::Path;

use nixos_nspawn_units::store::HOST_FILE;

use crate::decision::doctor::completions::SAME;
use crate::decision::doctor::fix::Fix;
use crate::decision::doctor::verdict::{Check, Verdict};
use crate::decision::doctor::words::quoted;
use crate::fact::doctor::generator::{Answers, GeneratorSeen, HostFacts};
use crate::fact::installation::{OLDEST_SYSTEMD, older};

/// The command that installs what is missing, on hosts other than NixOS.
const SETUP: &str = "nixos-nspawn setup";

/// What installs it on NixOS.
const REBUILD: &str = "nixos-rebuild switch, with the NixOS module of nixos-nspawn imported";

/// Judges the generator.
pub(crate) fn generator(seen: &GeneratorSeen) -> Verdict {
    const CHECK: Check = Check::of_host("generator");
    let (text, next) = match seen {
        GeneratorSeen::Missing => {
            ("nixos-nspawn-generator is not installed, so no container starts".to_owned(), SETUP.to_owned())
        }
        GeneratorSeen::Unseen(unseen) => return Verdict::unseen(CHECK, unseen),
        GeneratorSeen::Masked(path) => {
            let text = format!("{}: masks the generator, so no container starts", path.display());
            return Verdict::failure(CHECK, text, format!("rm {}", shown(path)))
                .on_nixos("remove it from systemd.generators");
        }
        GeneratorSeen::Dangling(path) => (
            format!("{}: is a link to something that is missing, so no container starts", path.display()),
            format!("see whether something is not mounted: namei -l {}", shown(path)),
        ),
        GeneratorSeen::NotExecutable(path) => (
            format!(
                "{}: is not executable, so systemd does not run it and no container starts",
                path.display()
            ),
            format!("chmod 755 {}", shown(path)),
        ),
        GeneratorSeen::Unasked(path) => {
            return Verdict::ok(CHECK, format!("{} is installed", path.display()));
        }
        GeneratorSeen::Strange(path, why) => (
            format!("{}: is not a generator of nixos-nspawn: {}", path.display(), why.why),
            format!("see what it is: {} --version; without it, {SETUP}", shown(path)),
        ),
        GeneratorSeen::Answers(Answers { generator, helper, by_setup, .. }) => {
            let next = if *by_setup { SETUP } else { "install the package of nixos-nspawn again" };
            let text = match helper {
                None => format!(
                    "{}: the unit helper that {} names is missing, so no container starts",
                    generator.helper.display(),
                    generator.path.display()
                ),
                Some(Err(why)) if why.needs_root => return Verdict::unseen(CHECK, why),
                Some(Err(why)) => format!("the unit helper does not run: {}", why.why),
                Some(Ok(_)) => {
                    return Verdict::ok(CHECK, format!("{} is installed", generator.path.display()));
                }
            };
            (text, next.to_owned())
        }
    };
    Verdict::failure(CHECK, text, next).on_nixos(REBUILD)
}

fn shown(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// Judges the versions of generator and unit helper, `own` being that of this program.
pub(crate) fn versions(seen: &GeneratorSeen, own: &str) -> Option<Verdict> {
    const CHECK: Check = Check::of_host("versions");
    let GeneratorSeen::Answers(answers) = seen else { return None };
    let Answers { generator, helper, by_setup, replaceable } = answers;
    let Some(Ok(helper)) = helper else { return None };
    let (path, version) = (generator.path.display(), generator.version.as_str());
    let old = |text: String| {
        let next = if *by_setup { SETUP } else { "update the package that installed it" };
        let verdict = Verdict::warning(CHECK, text, next).on_nixos(SAME);
        match *by_setup && *replaceable == Some(true) {
            true => verdict.fixed_by(Fix::Setup),
            false => verdict,
        }
    };
    let new = |text: String| Verdict::warning(CHECK, text, "update nixos-nspawn").on_nixos(SAME);
    if older(version, own) {
        let text = format!("{path}: is of version {version}, and this program of {own}; create is refused");
        return Some(old(text));
    }
    if older(own, version) {
        let text = format!("{path}: is of version {version}, newer than this program, which is of {own}");
        return Some(new(text));
    }
    if helper.version != version {
        let text = format!(
            "{}: is of version {}, and the generator of {version}",
            helper.path.display(),
            helper.version
        );
        return Some(if older(own, &helper.version) { new(text) } else { old(text) });
    }
    if *by_setup && *replaceable == Some(true) {
        // Neither is known to be the better one.
        let text = format!("{path}: is another build of {version} than the one beside this program");
        return Some(Verdict::note(CHECK, text, ""));
    }
    Some(Verdict::ok(CHECK, format!("program, generator and unit helper are of version {own}")))
}

/// Judges what the generator knows about the host.
pub(crate) fn host_facts(facts: &HostFacts) -> Verdict {
    const CHECK: Check = Check::of_host("systemd");
    let HostFacts { recorded, runs, current } = facts;
    let runs = match runs {
        Ok(runs) => *runs,
        Err(unseen) => return Verdict::unseen(CHECK, unseen),
    };
    if runs < OLDEST_SYSTEMD {
        let text = format!("systemd {runs} is too old, {OLDEST_SYSTEMD} or newer is needed");
        return Verdict::failure(CHECK, text, "update the host");
    }
    let verdict = match recorded {
        Some(recorded) if *recorded != runs => {
            let text = format!("{HOST_FILE}: systemd {runs} runs, but containers are planned for {recorded}");
            Verdict::warning(CHECK, text, SETUP)
        }
        _ if *current == Ok(false) => {
            let text =
                format!("{HOST_FILE}: does not have BootLimit= of nixos-nspawn.conf, so that has no effect");
            Verdict::warning(CHECK, text, SETUP)
        }
        None if runs > OLDEST_SYSTEMD => {
            let text = format!(
                "{HOST_FILE}: is missing, so containers are planned for systemd {OLDEST_SYSTEMD}, and {runs} runs"
            );
            Verdict::note(CHECK, text, SETUP)
        }
        _ => match current {
            Err(unseen) => return Verdict::unseen(CHECK, unseen),
            Ok(_) => {
                let text = format!("systemd {runs} runs, and containers are planned for it");
                return Verdict::ok(CHECK, text);
            }
        },
    };
    verdict.on_nixos("nixos-rebuild switch, and a reboot if systemd is another one").fixed_by(Fix::RecordHost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision::doctor::verdict::Level;
    use crate::fact::doctor::seen::Unseen;
    use crate::fact::installation::Installed;

    fn installed(path: &str, version: &str) -> Installed {
        Installed { path: path.into(), version: version.into(), helper: "/l/unit-helper".into() }
    }

    fn answers(version: &str, helper: &str) -> Answers {
        Answers {
            generator: installed("/e/generator", version),
            helper: Some(Ok(installed("/l/unit-helper", helper))),
            by_setup: true,
            replaceable: Some(false),
        }
    }

    #[test]
    fn generators() {
        let why = || Unseen { why: "x".into(), needs_root: false };
        let path = || "/e/generator".into();
        for (seen, level, next) in [
            (GeneratorSeen::Missing, Level::Failure, Some("nixos-nspawn setup")),
            (GeneratorSeen::Unseen(why()), Level::Warning, None),
            (
                GeneratorSeen::Dangling(path()),
                Level::Failure,
                Some("see whether something is not mounted: namei -l /e/generator"),
            ),
            (GeneratorSeen::Masked(path()), Level::Failure, Some("rm /e/generator")),
            (GeneratorSeen::NotExecutable(path()), Level::Failure, Some("chmod 755 /e/generator")),
            (
                GeneratorSeen::Strange(path(), why()),
                Level::Failure,
                Some("see what it is: /e/generator --version; without it, nixos-nspawn setup"),
            ),
            (GeneratorSeen::Unasked(path()), Level::Ok, None),
            (
                GeneratorSeen::Answers(Answers { helper: None, ..answers("1.0.0", "1.0.0") }),
                Level::Failure,
                Some("nixos-nspawn setup"),
            ),
            (
                GeneratorSeen::Answers(Answers { helper: Some(Err(why())), ..answers("1.0.0", "1.0.0") }),
                Level::Failure,
                Some("nixos-nspawn setup"),
            ),
            (
                GeneratorSeen::Answers(Answers {
                    helper: None,
                    by_setup: false,
                    ..answers("1.0.0", "1.0.0")
                }),
                Level::Failure,
                Some("install the package of nixos-nspawn again"),
            ),
            (GeneratorSeen::Answers(answers("1.0.0", "1.0.0")), Level::Ok, None),
        ] {
            let verdict = generator(&seen);
            assert_eq!((verdict.level, verdict.next.as_deref()), (level, next), "{}", verdict.text);
        }
    }

    #[test]
    fn versions_of_programs() {
        for (generator, helper, by_setup, replaceable, level, fixed) in [
            ("1.2.0", "1.2.0", true, Some(false), Level::Ok, false),
            // Another build may be the newer one.
            ("1.2.0", "1.2.0", true, Some(true), Level::Note, false),
            // A package's generator is not ours to replace.
            ("1.2.0", "1.2.0", false, Some(true), Level::Ok, false),
            ("1.1.0", "1.1.0", false, Some(true), Level::Warning, false),
            ("1.1.0", "1.1.0", true, Some(true), Level::Warning, true),
            ("1.1.0", "1.1.0", true, None, Level::Warning, false),
            ("1.3.0", "1.3.0", true, Some(true), Level::Warning, false),
            ("1.2.0", "1.1.0", true, Some(true), Level::Warning, true),
            ("1.2.0", "1.3.0", true, Some(true), Level::Warning, false),
        ] {
            let answers = Answers { by_setup, replaceable, ..answers(generator, helper) };
            let verdict = versions(&GeneratorSeen::Answers(answers), "1.2.0").unwrap();
            assert_eq!((verdict.level, verdict.fix.is_some()), (level, fixed), "{}", verdict.text);
        }
        assert_eq!(versions(&GeneratorSeen::Missing, "1.2.0"), None);
    }

    #[test]
    fn facts_of_the_host() {
        let facts = |recorded, runs, current| HostFacts { recorded, runs: Ok(runs), current: Ok(current) };
        for (facts, level) in [
            (facts(Some(257), 257, true), Level::Ok),
            (facts(None, 257, true), Level::Ok),
            (facts(None, 262, true), Level::Note),
            (facts(Some(257), 262, true), Level::Warning),
            (facts(Some(257), 257, false), Level::Warning),
            (facts(None, 200, true), Level::Failure),
        ] {
            let verdict = host_facts(&facts);
            assert_eq!(verdict.level, level, "{}", verdict.text);
            assert_eq!(verdict.fix.is_some(), matches!(level, Level::Note | Level::Warning));
        }
        let runs = Err(Unseen { why: "systemctl: not found".into(), needs_root: false });
        let unseen = HostFacts { recorded: None, runs, current: Ok(true) };
        assert_eq!(host_facts(&unseen).level, Level::Warning);
        let current = Err(Unseen { why: "nixos-nspawn.conf: x".into(), needs_root: false });
        let verdict = host_facts(&HostFacts { current, ..facts(Some(257), 257, true) });
        assert_eq!(verdict.text, "not checked: nixos-nspawn.conf: x");
    }
}
