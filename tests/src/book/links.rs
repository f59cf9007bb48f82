//! Links between the documents of the repository, as links between the chapters of the book.

use super::text;

/// Returns the place of a file of the repository in the book, if it is in it.
pub fn place(path: &str) -> Option<String> {
    match path {
        "README.md" => Some("introduction.md".to_owned()),
        "CHANGELOG.md" => Some("changes.md".to_owned()),
        "CONTRIBUTING.md" => Some("contributing.md".to_owned()),
        "docs/json" => Some("json-answers.md".to_owned()),
        _ => match path.strip_prefix("docs/") {
            Some(below) => [".md", ".svg"].iter().any(|end| below.ends_with(end)).then(|| below.to_owned()),
            None => path.strip_prefix("man/nixos").map(|page| format!("man/nixos{page}.md")),
        },
    }
}

/// Returns the text of a document with its links as they are in the book. What is not in the book is at the project's
/// address.
pub fn linked(document: &str, markdown: &str) -> String {
    let mut out = String::new();
    let mut fenced = false;
    for line in markdown.split_inclusive('\n') {
        fenced ^= line.trim_start().starts_with("```");
        if fenced || line.starts_with("    ") {
            out.push_str(line);
            continue;
        }
        let mut parts = line.split("](");
        out.push_str(&with_manual_pages(document, parts.next().unwrap_or_default()));
        for part in parts {
            let (target, rest) = part.split_once(')').expect("a link ends on its line");
            out.push_str(&format!("]({})", target_in_book(document, target)));
            out.push_str(&with_manual_pages(document, rest));
        }
    }
    out
}

/// Makes links of the names of our manual pages, which are code in the documents.
fn with_manual_pages(document: &str, prose: &str) -> String {
    let mut prose = prose.to_owned();
    for page in super::manual_pages() {
        let (name, section) = page.rsplit_once('.').expect("a section");
        let code = format!("`{name}({section})`");
        let target = relative(&place(document).expect("a document"), &format!("man/{page}.md"));
        prose = prose.replace(&code, &format!("[{code}]({target})"));
    }
    prose
}

fn target_in_book(document: &str, target: &str) -> String {
    let (file, anchor) = match target.split_once('#') {
        Some((file, anchor)) => (file, format!("#{anchor}")),
        None => (target, String::new()),
    };
    if file.is_empty() || file.contains("://") {
        return target.to_owned();
    }
    let path = resolved(document, file);
    match place(&path) {
        Some(place) => relative(&super::place(document).expect("a document"), &place) + &anchor,
        None => format!("{}/{path}{anchor}", address()),
    }
}

/// Returns the path of a link's target in the repository.
fn resolved(document: &str, target: &str) -> String {
    let mut path: Vec<&str> = document.split('/').collect();
    path.pop();
    for part in target.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    path.join("/")
}

/// Returns the link from one chapter to another.
fn relative(from: &str, to: &str) -> String {
    "../".repeat(from.matches('/').count()) + to
}

/// Returns the address of the project.
fn address() -> String {
    let manifest = text("Cargo.toml");
    let line = manifest.lines().find_map(|line| line.strip_prefix("repository = \"")).expect("an address");
    line.trim_end_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::linked;

    #[test]
    fn links_follow_their_targets() {
        let document = "docs/decisions/trust.md";
        for (before, after) in [
            ("[a](../seen.md#x)", "[a](../seen.md#x)"),
            ("[a](../../README.md#updates)", "[a](../introduction.md#updates)"),
            (
                "[a](#here) `nixos-nspawn.conf(5)`",
                "[a](#here) [`nixos-nspawn.conf(5)`](../man/nixos-nspawn.conf.5.md)",
            ),
            ("[a](README.md)", "[a](../decisions/README.md)"),
            ("```\n[a](x.md)\n```\n", "```\n[a](x.md)\n```\n"),
        ] {
            assert_eq!(linked(document, before), after);
        }
        assert!(linked("README.md", "[a](examples/debian)").ends_with("/nixos-nspawn/examples/debian)"));
        assert_eq!(linked("README.md", "[a](docs/session.svg)"), "[a](session.svg)");
    }
}
