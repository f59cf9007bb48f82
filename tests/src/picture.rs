//! Draws a session in a terminal as an SVG, in light or dark colours as the reader prefers.

use std::fmt::Write;

/// The width of a character in hundredths of a pixel, the height of a line, and the margin.
const CHARACTER: usize = 843;
const LINE: usize = 21;
const MARGIN: usize = 18;

/// The colours. Commands are bold, and prompts and comments faint.
const STYLE: &str = "
    .paper { fill: #f6f8fa; stroke: #d1d9e0; }
    text { font: 14px ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, monospace; fill: #1f2328; white-space: pre; }
    .command { font-weight: bold; }
    .faint { fill: #59636e; font-weight: normal; }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #0d1117; stroke: #3d444d; }
      text { fill: #f0f6fc; }
      .faint { fill: #9198a1; }
    }
";

/// Returns the picture of a session: lines of output, and commands, which begin with `$ `.
pub fn svg(title: &str, session: &str) -> String {
    let lines: Vec<&str> = session.lines().collect();
    let columns = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let (width, height) = (columns * CHARACTER / 100 + 2 * MARGIN, lines.len() * LINE + 2 * MARGIN);
    let mut svg = String::new();
    let mut add = |line: String| writeln!(svg, "{line}").expect("writing to a String cannot fail");
    add(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">"
    ));
    add(format!("  <title>{}</title>", escaped(title)));
    add(format!("  <style>{STYLE}  </style>"));
    add(format!(
        "  <rect class=\"paper\" x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"8\"/>",
        width - 1,
        height - 1
    ));
    for (number, line) in lines.iter().enumerate() {
        let y = MARGIN + number * LINE + LINE * 3 / 4;
        let text = match line.strip_prefix("$ ") {
            Some(command) => {
                let (command, comment) = match command.find(" #") {
                    Some(at) => command.split_at(at),
                    None => (command, ""),
                };
                let comment = match comment {
                    "" => String::new(),
                    comment => format!("<tspan class=\"faint\">{}</tspan>", escaped(comment)),
                };
                format!(
                    "<tspan class=\"faint\">$ </tspan><tspan class=\"command\">{}</tspan>{comment}",
                    escaped(command)
                )
            }
            None => escaped(line),
        };
        add(format!("  <text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\">{text}</text>"));
    }
    add("</svg>".to_owned());
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::svg;

    #[test]
    fn commands_differ_from_output() {
        let drawn = svg("a & b", "$ ls -l  # all\n<file>\n");
        assert!(drawn.contains("<title>a &amp; b</title>"), "{drawn}");
        let command = "<tspan class=\"command\">ls -l </tspan><tspan class=\"faint\"> # all</tspan></text>";
        assert!(drawn.contains(command), "{drawn}");
        assert!(drawn.contains(">&lt;file&gt;</text>") && drawn.contains("height=\"78\""), "{drawn}");
    }
}
