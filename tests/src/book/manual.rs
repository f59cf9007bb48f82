//! Manual pages as chapters: mandoc's HTML, with headings that mdBook sees.

use std::path::Path;
use std::process::Command;

/// Returns the chapter of a manual page.
pub(super) fn chapter(name: &str, file: &Path) -> String {
    let output =
        Command::new("mandoc").args(["-T", "html", "-O", "fragment,man=%N.%S.html"]).arg(file).output();
    let output = output.unwrap_or_else(|error| panic!("mandoc: {error} (Debian: package mandoc)"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let html = String::from_utf8(output.stdout).expect("UTF-8");
    let (title, section) = name.rsplit_once('.').expect("a section");
    format!("# {title}({section})\n\n<div class=\"manual\">\n\n{}\n</div>\n", markdown(&html))
}

/// Makes Markdown of it: blank lines would end HTML, and headings must not be HTML.
fn markdown(html: &str) -> String {
    let body = html.split_once("</table>").map_or(html, |(_, body)| body);
    let body = body.split("<table class=\"foot\">").next().unwrap_or(body);
    let body = body.replace("<div class=\"manual-text\">", "").replace("<section class=\"Sh\">", "");
    let body = body.replace("<section class=\"Ss\">", "").replace("</section>", "");
    let mut out = String::new();
    let mut rest = body.trim_end().trim_end_matches("</div>");
    while let Some(at) = rest.find("<h1 class=\"Sh\"").into_iter().chain(rest.find("<h2 class=\"Ss\"")).min()
    {
        let level = if rest[at..].starts_with("<h1") { 1 } else { 2 };
        let (before, heading) = rest.split_at(at);
        let (heading, after) = heading.split_once(&format!("</h{level}>")).expect("a heading ends");
        out.push_str(&block(before));
        // The page's own links use mandoc's anchors.
        let anchor =
            heading.split("id=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or_default();
        let heading = format!("{} {}", "#".repeat(level + 1), plain(heading));
        out.push_str(&format!("\n\n<a id=\"{anchor}\"></a>\n\n{heading}\n\n"));
        rest = after;
    }
    out.push_str(&block(rest));
    out
}

/// Returns HTML without blank lines, and without links to pages of others.
fn block(html: &str) -> String {
    let mut out = String::new();
    let mut preformatted = false;
    for line in html.lines() {
        let blank = line.trim().is_empty();
        match (blank, preformatted) {
            (true, true) => out.push_str("&#10;"),
            (true, false) => {}
            (false, true) => {
                out.push_str(line);
                out.push('\n');
            }
            // Indented lines would be code.
            (false, false) => {
                out.push_str(line.trim_start());
                out.push('\n');
            }
        }
        preformatted = (preformatted || line.contains("<pre")) && !line.contains("</pre>");
    }
    links(&out)
}

/// Keeps links to our own pages only.
fn links(html: &str) -> String {
    const LINK: &str = "<a class=\"Xr\" href=\"";
    let mut parts = html.split(LINK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (target, rest) = part.split_once("\">").expect("a target ends");
        let (text, rest) = rest.split_once("</a>").expect("a link ends");
        // This page leads to that one.
        let target = if target == "nixos-nspawn.8.html" { "nixos-nspawn-ctl.8.html" } else { target };
        if target.starts_with("nixos-nspawn") {
            out.push_str(&format!("{LINK}{target}\">{text}</a>{rest}"));
        } else {
            out.push_str(text);
            out.push_str(rest);
        }
    }
    out
}

/// Returns the text of a heading.
fn plain(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::markdown;

    #[test]
    fn headings_and_links() {
        let html = "<table class=\"head\">\n</table>\n<div class=\"manual-text\">\n<section class=\"Sh\">\n\
            <h1 class=\"Sh\" id=\"A\"><a class=\"permalink\" href=\"#A\">A\nB</a></h1>\n<p>  see\n    <a class=\"Xr\" \
            href=\"systemd.1.html\">systemd(1)</a></p>\n<pre>\n  x\n\n  y\n</pre>\n</section>\n</div>\n<table class=\"foot\">\n</table>";
        let expected =
            "\n\n<a id=\"A\"></a>\n\n## A B\n\n<p>  see\nsystemd(1)</p>\n<pre>\n  x\n&#10;  y\n</pre>\n";
        assert_eq!(markdown(html), expected);
    }
}
