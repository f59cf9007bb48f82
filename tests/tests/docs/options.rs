//! Compares nixos-nspawn-ctl(8) and nixos-nspawn-generator(8) with the programs' help: both must have the same commands,
//! options with short forms and values, and exit codes.

use std::collections::{BTreeMap, BTreeSet};

use nixos_nspawn_tests::host::bins;

use crate::mdoc::{Page, flags};
use crate::{ctl, page, run, said, text};

/// Options by long form: short forms, and whether the option takes a value.
type Options = BTreeMap<String, (BTreeSet<String>, bool)>;

fn help(words: &[&str]) -> String {
    let words = [words, &["--help"]].concat();
    let output = ctl(&words);
    assert!(output.status.success(), "{words:?}: {}", said(&output));
    said(&output)
}

/// Returns the options in a help text: lines such as `  -n, --dry-run` and `      --root <DIR>`.
fn options_of_help(help: &str) -> Options {
    let mut options = Options::new();
    // `- auto: …` explains a value.
    let lines =
        help.lines().map(str::trim_start).filter(|line| line.starts_with('-') && !line.starts_with("- "));
    for line in lines {
        let mut short = BTreeSet::new();
        let mut words = line.split([' ', ',']).filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next_if(|word| word.starts_with('-')) {
            match word.strip_prefix("--") {
                Some(long) => {
                    // `--option[=<VALUE>]` works without a value, too.
                    let (long, optional) =
                        long.split_once("[=").map_or((long, false), |(long, _)| (long, true));
                    let value = optional
                        || words.peek().is_some_and(|next| next.starts_with('<') || is_placeholder(next));
                    assert!(options.insert(long.to_owned(), (std::mem::take(&mut short), value)).is_none());
                }
                None => assert!(short.insert(word[1..].to_owned())),
            }
        }
        assert!(short.is_empty(), "an option without a long form: {line}");
    }
    assert!(!options.is_empty(), "no options in: {help}");
    options
}

fn is_placeholder(word: &str) -> bool {
    word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase())
}

/// Returns the options that items of a page explain: `.It Fl n , Fl -dry-run Ar WHEN`.
fn options_of_items<'a>(heads: impl Iterator<Item = &'a str>) -> Options {
    let mut options = Options::new();
    for head in heads {
        let (long, short): (Vec<String>, Vec<String>) =
            flags(&format!("It {head}")).into_iter().partition(|flag| flag.starts_with('-'));
        let [long] = &long[..] else { panic!("an item with other than one long option: {head}") };
        let value = head.split(' ').any(|word| word == "Ar");
        let known = options.insert(long[1..].to_owned(), (short.into_iter().collect(), value));
        assert!(known.is_none(), "explained twice: {head}");
    }
    options
}

fn explained(page: &Page, section: &str, subsection: &str) -> Options {
    let items = page.items();
    let here = items.iter().filter(|item| item.section == section && item.subsection == subsection);
    options_of_items(here.map(|item| item.head()).filter(|head| head.starts_with("Fl ")))
}

/// Returns the commands in the top-level help.
fn commands() -> Vec<String> {
    let help = help(&[]);
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = lines.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("    "));
    let commands: Vec<String> =
        lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
    assert!(commands.len() > 5, "commands of the help: {commands:?}");
    commands
}

#[test]
fn ctl_page_has_the_commands() {
    assert_eq!(page("nixos-nspawn-ctl.8").subsections("COMMANDS"), commands());
}

#[test]
fn ctl_page_has_the_options() {
    let page = page("nixos-nspawn-ctl.8");
    let global = options_of_help(&help(&[]));
    assert_eq!(explained(&page, "OPTIONS", ""), global, "options of all commands");
    let mut all: BTreeSet<String> = names(&global);
    for command in commands().iter().filter(|command| *command != "help") {
        let mut own = options_of_help(&help(&[command]));
        // A command whose forms have a word more.
        for form in ["archive", "nixos-container", "nspawn"].iter().filter(|_| command == "import") {
            own.extend(options_of_help(&help(&[command, form])));
        }
        own.retain(|long, _| !global.contains_key(long));
        assert_eq!(explained(&page, "COMMANDS", command), own, "options of {command}");
        assert_eq!(synopsis(&page, command), own.keys().cloned().collect(), "synopsis of {command}");
        all.extend(names(&own));
    }
    // `Fl -` is the `--` before the arguments for Nix.
    for flag in page.flags().iter().filter(|flag| *flag != "-") {
        assert!(all.contains(flag), "the page has option -{flag}, which the program does not know");
    }
}

/// Returns options as in the page's source: `-root`, `v`.
fn names(options: &Options) -> BTreeSet<String> {
    options.iter().flat_map(|(long, (short, _))| short.iter().cloned().chain([format!("-{long}")])).collect()
}

/// Returns the long options in the synopsis of a command.
fn synopsis(page: &Page, command: &str) -> BTreeSet<String> {
    let lines = page.section("SYNOPSIS").join("\n");
    let forms = lines.split(".Nm nixos-nspawn").filter(|form| {
        let words = form.lines().find_map(|line| line.strip_prefix(".Cm ")).unwrap_or_default();
        words.split(' ').any(|word| word == command)
    });
    let forms: Vec<&str> = forms.collect();
    let expected = if command == "import" { 4 } else { 1 };
    assert_eq!(forms.len(), expected, "forms of {command} in the synopsis");
    let flags = forms.iter().flat_map(|form| form.lines()).flat_map(flags);
    flags.filter_map(|flag| flag.strip_prefix('-').filter(|l| !l.is_empty()).map(str::to_owned)).collect()
}

#[test]
fn generator_page_has_the_options() {
    let page = page("nixos-nspawn-generator.8");
    let output = run(&bins().generator, &["--help"]);
    let options = options_of_help(&said(&output));
    assert_eq!(explained(&page, "DESCRIPTION", "Options"), options);
    for flag in page.flags() {
        assert!(names(&options).contains(&flag), "the page has option -{flag}, unknown to the program");
    }
    let version = said(&run(&bins().generator, &["--version"]));
    let helper = version.lines().find_map(|line| line.strip_prefix("unit-helper ")).expect("the helper");
    let files: Vec<&str> = page.section("FILES");
    assert!(files.contains(&format!(".It Pa {helper}").as_str()), "FILES does not have {helper}");
}

/// Returns the exit codes that a page explains.
fn exit_codes(page: &Page) -> BTreeSet<u8> {
    let items = page.items();
    let codes = items.iter().filter(|item| item.section == "EXIT STATUS");
    codes.map(|item| item.head().parse().unwrap_or_else(|_| panic!("no number: {}", item.head()))).collect()
}

#[test]
fn exit_codes_of_ctl() {
    let source = text("ctl/src/base/exit.rs");
    let (_, function) = source.split_once("fn code(").expect("the function that tells the codes");
    let function = function.split("\n}\n").next().expect("its end");
    let mut codes = BTreeSet::from([0]);
    for start in function.match_indices(['(', ' ']).map(|(at, _)| &function[at + 1..]) {
        let digits = start.find(|c: char| !c.is_ascii_digit()).unwrap_or_default();
        codes.extend(start[..digits].parse::<u8>());
    }
    assert!(codes.len() > 3, "found only {codes:?} in ctl/src/base/exit.rs");
    assert_eq!(exit_codes(&page("nixos-nspawn-ctl.8")), codes);
    let root = tempfile::tempdir().expect("a directory");
    let root = root.path().to_str().expect("UTF-8");
    for (words, code) in [
        (vec!["--root", root, "list"], 0),
        (vec!["--nonsense"], 2),
        (vec!["--root", root, "show", "nobody"], 2),
        (vec!["--root", root, "setup"], 10),
    ] {
        let output = ctl(&words);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {}", said(&output));
    }
}

#[test]
fn exit_codes_of_the_generator() {
    let root = tempfile::tempdir().expect("a directory");
    for folder in ["etc/nixos-nspawn", "out"] {
        std::fs::create_dir_all(root.path().join(folder)).expect("a directory");
    }
    let at = root.path().to_str().expect("UTF-8");
    let out = root.path().join("out");
    let out = out.to_str().expect("UTF-8");
    let generator = |words: &[&str]| {
        run(&bins().generator, &[&["--root", at], words].concat()).status.code().expect("a code") as u8
    };
    let mut codes = BTreeSet::from([generator(&[out]), generator(&["--nonsense"])]);
    std::fs::write(root.path().join("etc/nixos-nspawn/bad.json"), "{}").expect("written");
    codes.extend([generator(&[out]), generator(&["--refuse", "bad"])]);
    assert_eq!(exit_codes(&page("nixos-nspawn-generator.8")), codes);
}
