//! Renders docs/options.md.

use super::description::{Block, blocks, plain};
use super::value::shown;
use super::{Documented, grouped};

const HEAD: &str = "\
# Options of a container

<!-- Generated from nix/options.nix by tests/src/options_doc; do not edit. -->

Set these options as `nixosContainer.NAME` in the container's NixOS configuration. In a host's configuration, they are
options of `nixos.containers.instances.<name>`; in an intent, nixos-nspawn.json(5), they are fields of `container`.
An option that is null or an empty list is not set. Settings in parentheses, such as `Bind=`, are those of
systemd.nspawn(5), systemd.exec(5) and systemd.resource-control(5) that the option sets. The option that NixOS's `containers`
have for the same purpose is named where there is one; it may differ in default and form
([coming-from-containers.md](coming-from-containers.md)).
";

/// Returns the text of docs/options.md.
pub fn markdown(options: &[Documented]) -> String {
    let mut parts = vec![HEAD.trim_end().to_owned()];
    for (title, options) in grouped(options) {
        parts.push(format!("## {title}"));
        parts.extend(options.into_iter().flat_map(section));
    }
    parts.join("\n\n") + "\n"
}

fn section(option: &Documented) -> Vec<String> {
    let name = &option.name;
    let mut parts = vec![format!("### `{name}`")];
    parts.extend(blocks(&option.description).iter().map(|block| match block {
        Block::Paragraph(text) => plain(text),
        Block::Code(code) => format!("```nix\n{code}\n```"),
    }));
    parts.push(facts(option).iter().map(|fact| format!("- {fact}")).collect::<Vec<_>>().join("\n"));
    if let Some(example) = &option.example {
        parts.push(format!("Example:\n\n```nix\n{name} = {};\n```", shown(example)));
    }
    if !option.elements.is_empty() {
        let elements: Vec<String> = option.elements.iter().map(element).collect();
        parts.push(format!("As an attribute set, an element has these options:\n\n{}", elements.join("\n")));
    }
    parts
}

fn facts(option: &Documented) -> Vec<String> {
    let default = option.default.as_ref();
    let default = default.map_or("required".to_owned(), |default| format!("default: `{}`", shown(default)));
    let containers =
        option.containers.as_ref().map(|name| format!("in NixOS's `containers.<name>`: `{name}`"));
    [format!("type: {}", option.kind), default].into_iter().chain(containers).collect()
}

fn element(option: &Documented) -> String {
    let texts: Vec<String> = blocks(&option.description)
        .iter()
        .map(|block| match block {
            Block::Paragraph(text) => plain(text),
            Block::Code(_) => panic!("{}: a fenced block in the description of an element", option.name),
        })
        .collect();
    format!("- `{}`, {}. {}", option.name, facts(option).join(", "), texts.join(" "))
}
