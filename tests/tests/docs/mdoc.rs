//! A parser for the part of mdoc(7) that the manual pages use: list items with their sections, displays and references. It
//! reads the source, because rendered text does not distinguish options from words.

/// A manual page.
pub struct Page {
    lines: Vec<String>,
}

/// An item of a list.
pub struct Item {
    /// The heading of `.Sh`.
    pub section: String,
    /// The heading of `.Ss`, empty before the first.
    pub subsection: String,
    /// The heads of the enclosing items, and its own, as macro lines without `.It`.
    pub heads: Vec<String>,
}

impl Item {
    /// Its own head.
    pub fn head(&self) -> &str {
        self.heads.last().expect("an item has a head")
    }
}

/// Literal text.
pub struct Display {
    /// The comment on the line before it.
    pub comment: String,
    /// The lines, each with its newline.
    pub text: String,
}

impl Page {
    pub fn parse(source: &str) -> Self {
        Self { lines: source.lines().map(str::to_owned).collect() }
    }

    /// Returns the lines of a section, without its heading.
    pub fn section(&self, title: &str) -> Vec<&str> {
        let heading = format!(".Sh {title}");
        let lines = self.lines.iter().map(String::as_str).skip_while(|line| *line != heading).skip(1);
        let lines: Vec<&str> = lines.take_while(|line| !line.starts_with(".Sh ")).collect();
        assert!(!lines.is_empty(), "no section {title}");
        lines
    }

    /// Returns the headings of a section's subsections.
    pub fn subsections(&self, title: &str) -> Vec<&str> {
        self.section(title).into_iter().filter_map(|line| line.strip_prefix(".Ss ")).collect()
    }

    /// Returns all items of all lists.
    pub fn items(&self) -> Vec<Item> {
        let (mut section, mut subsection) = (String::new(), String::new());
        let mut lists: Vec<Option<String>> = Vec::new();
        let mut items = Vec::new();
        for line in &self.lines {
            if let Some(title) = line.strip_prefix(".Sh ") {
                section = title.to_owned();
                subsection.clear();
            } else if let Some(title) = line.strip_prefix(".Ss ") {
                subsection = title.to_owned();
            } else if line.starts_with(".Bl ") {
                lists.push(None);
            } else if line == ".El" {
                lists.pop().expect(".El ends a list");
            } else if let Some(head) = line.strip_prefix(".It ") {
                *lists.last_mut().expect(".It stands in a list") = Some(head.to_owned());
                let heads = lists.iter().flatten().cloned().collect();
                items.push(Item { section: section.clone(), subsection: subsection.clone(), heads });
            }
        }
        items
    }

    /// Returns the displays, `.Bd -literal` and `.Dl`.
    pub fn displays(&self) -> Vec<Display> {
        let mut displays = Vec::new();
        let mut before = "";
        let mut lines = self.lines.iter();
        while let Some(line) = lines.next() {
            let text = if line.starts_with(".Bd -literal") {
                lines.by_ref().take_while(|line| *line != ".Ed").map(|line| literal(line) + "\n").collect()
            } else if let Some(text) = line.strip_prefix(".Dl ") {
                literal(text) + "\n"
            } else {
                before = line;
                continue;
            };
            let comment = before.strip_prefix(".\\\" ").unwrap_or_default().to_owned();
            displays.push(Display { comment, text });
        }
        displays
    }

    /// Returns the words after each `Fl`: `-root`, `v`.
    pub fn flags(&self) -> Vec<String> {
        self.lines.iter().flat_map(|line| flags(line)).collect()
    }

    /// Returns the text after each `Ql`, as far as it is plain words.
    pub fn quoted(&self) -> Vec<String> {
        let texts = self.lines.iter().filter_map(|line| line.strip_prefix(".Ql "));
        texts.map(without_escapes).collect()
    }

    /// Returns title and section of each `.Xr`.
    pub fn references(&self) -> Vec<(String, String)> {
        let references = self.lines.iter().filter_map(|line| line.strip_prefix(".Xr "));
        references
            .map(|text| {
                let mut words = text.split(' ').map(str::to_owned);
                (words.next().expect("a title"), words.next().expect("a section"))
            })
            .collect()
    }
}

/// Returns the words after each `Fl` of a macro line.
pub fn flags(line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let is_flag = |at: usize| at > 0 && (words[at - 1] == "Fl" || words[at - 1] == ".Fl");
    (1..words.len()).filter(|at| is_flag(*at)).map(|at| words[at].to_owned()).collect()
}

/// Removes roff's escapes from a line.
fn literal(line: &str) -> String {
    assert!(!line.starts_with(['.', '\'']), "a literal line that roff reads as a request: {line}");
    without_escapes(line)
}

fn without_escapes(text: &str) -> String {
    text.replace("\\&", "").replace("\\e", "\\").replace("\\-", "-")
}
