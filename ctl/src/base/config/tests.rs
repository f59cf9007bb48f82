use super::*;

fn read(text: &str) -> Result<Config> {
    let mut config = Config::built_in()?;
    match config.apply(Path::new("f"), text.as_bytes())?.first() {
        Some(fault) => Err(anyhow!("{fault}")),
        None => Ok(config),
    }
}

#[test]
fn values_keep_their_case_and_number_signs() {
    let config =
        read("# comment\n[Nix]\nCommand=/opt/Nix/bin/nix\nArguments=--override-input x flake#a;b\nNixpkgs=nixpkgs/nixos-26.05\n")
            .unwrap();
    assert_eq!(config.nix_command.as_deref(), Some("/opt/Nix/bin/nix"));
    assert_eq!(config.nixpkgs.as_deref(), Some("nixpkgs/nixos-26.05"));
    assert_eq!(config.nix_arguments, ["--override-input", "x", "flake#a;b"]);
    let config = read("[Container]\nTimeoutStartSec=5min\n").unwrap();
    assert_eq!(config.timeout_start_sec.unwrap().as_str(), "5min");
}

#[test]
fn lines_are_those_of_systemd() {
    // Every line ending counts, including a lone CR, and lines may be continued.
    for end in ["\n", "\r", "\r\n", "\0"] {
        let text = [
            "[Nix]",
            "Command = /a",
            "Arguments=b \\",
            "# not this",
            "c",
            "",
            "[Container]",
            "AllowHostChanges=ON",
        ];
        let config = read(&text.join(end)).unwrap();
        assert_eq!(config.nix_command.as_deref(), Some("/a"), "{end:?}");
        assert_eq!(config.nix_arguments, ["b", "c"], "{end:?}");
        assert!(config.allow_host_changes, "{end:?}");
    }
    // The last value wins, an empty one restores the default, and X- sections and settings are ignored.
    let config =
        read("\u{feff}[Nix]\nSystem=a\nSystem=b\nCommand=x\nCommand=\nX-Mine=y\n[X-Other]\nz\n").unwrap();
    assert_eq!(config.system.unwrap().as_str(), "b");
    assert_eq!(config.nix_command, None);
}

#[test]
fn every_setting_is_listed() {
    for (section, keys) in SETTINGS {
        for key in *keys {
            assert_eq!(Config::check(section, key, ""), Ok(()), "[{section}] {key}=");
        }
    }
    let fields = format!("{:?}", Config::built_in().unwrap()).matches(": ").count();
    assert_eq!(SETTINGS.iter().map(|(_, keys)| keys.len()).sum::<usize>(), fields);
    let error = Config::check("Host", "BootLimit", "0").unwrap_err();
    assert_eq!(error, "'0' is not a number of containers (1 to 10000)");
}

#[test]
fn unknown_settings_are_refused() {
    let message = |text: &str| read(text).unwrap_err().to_string();
    assert_eq!(
        message("[Nix]\nCommando=x\n"),
        "f:2: [Nix] has no setting 'Commando' (did you mean Command=?)"
    );
    assert_eq!(message("[Nyx]\nCommand=x\n"), "f:1: there is no section [Nyx] (did you mean [Nix]?)");
    assert_eq!(
        message("[Host]\r\nBootLimit=3\r\nBootLimit=bad\r\nBootLimit=4\r\n"),
        "f:3: BootLimit: 'bad' is not a number of containers (1 to 10000)"
    );
    assert_eq!(
        message("\n[Nix]\nBootLimit = 1\n"),
        "f:3: [Nix] has no setting 'BootLimit' (did you mean [Host]?)"
    );
    assert_eq!(message("[Host]\nQuite=1\n"), "f:2: [Host] has no setting 'Quite'");
    let line = |text: &str| message(text).strip_suffix(", nothing was changed").map(str::to_owned);
    assert_eq!(line("#\nCommand=x\n").as_deref(), Some("f:2: assignment outside of a section"));
    assert_eq!(line("[Nix]\nCommand\n").as_deref(), Some("f:2: missing '='"));
    assert_eq!(line("[Nix]\n=x\n").as_deref(), Some("f:2: missing key name before '='"));
    assert_eq!(line("[Nix\n").as_deref(), Some("f:1: section header does not end in ']'"));
    assert!(
        message("[Container]\nTimeoutStartSec=lots\n")
            .starts_with("f:2: TimeoutStartSec: 'lots' is not a time span")
    );
    for bad in ["0", "-1", "some", "10001"] {
        let message = message(&format!("[Host]\nBootLimit={bad}\n"));
        assert_eq!(message, format!("f:2: BootLimit: '{bad}' is not a number of containers (1 to 10000)"));
    }
    assert!(message("[Nix]\nProfileDirectory=relative\n").contains("is not an absolute path"));
}

#[test]
fn commands_that_only_read_ignore_faults() {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir(root.path().join("etc")).unwrap();
    let path = root.path().join("etc/nixos-nspawn.conf");
    let shown = path.display();
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        Config::read_good(root.path(), &Scope::SYSTEM, Trust::Anybody).unwrap()
    };
    let (config, ignored) = read("[Nix]\nSystem=a\nCommando=x\n[Host]\nBootLimit=0\nMetricsFile=/m\n");
    assert_eq!((config.system.unwrap().as_str(), config.metrics_file.unwrap().as_str()), ("a", "/m"));
    assert_eq!(
        ignored,
        [
            format!(
                "{shown}:3: [Nix] has no setting 'Commando' (did you mean Command=?), the setting is ignored"
            ),
            format!(
                "{shown}:5: BootLimit: '0' is not a number of containers (1 to 10000), the setting is ignored"
            ),
        ]
    );
    let (_, ignored) = read("[Nix]\nSystem\n");
    assert_eq!(ignored, [format!("{shown}:2: missing '=', the file is ignored")]);
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    let (config, ignored) = Config::read_good(root.path(), &Scope::SYSTEM, Trust::Anybody).unwrap();
    assert_eq!(config, Config::built_in().unwrap());
    assert_eq!(
        ignored,
        [format!("{shown}: is not a regular file, the built-in defaults are used; remove it")]
    );
}
