//! The content of a unit file: comments and settings, section by section, in order. Values are kept as written after
//! the `=`, already escaped for their place (see [`super::escape`]). `Display` renders the text.

use std::borrow::Cow;
use std::fmt;

use super::escape::is_printable_ascii;

/// A unit file, drop-in or `.nspawn` file (`systemd.syntax(7)`).
///
/// ```
/// use systemd_unit_syntax::{UnitFile, parse};
///
/// let mut file = UnitFile::default();
/// file.section("Service").set("MemoryMax", "2G");
/// assert_eq!(file.to_string(), "[Service]\nMemoryMax=2G\n");
/// assert_eq!(parse(file.to_string().as_bytes())?.file, file);
/// # Ok::<(), systemd_unit_syntax::SyntaxError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitFile {
    /// Comment lines above the first section, without the `#`.
    pub header: Vec<String>,
    /// The sections in file order; a name may come more than once.
    pub sections: Vec<Section>,
}

/// A `[Name]` header and what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The name between the brackets.
    pub name: Cow<'static, str>,
    /// Settings and comments in file order.
    pub items: Vec<Item>,
}

/// A line of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `key=value`; an empty value resets a list (`systemd.syntax(7)`).
    Setting {
        /// The name before the first `=`.
        key: Cow<'static, str>,
        /// The value as written in the file, stripped.
        value: Cow<'static, str>,
    },
    /// A comment, without the `#`.
    Comment(String),
}

impl UnitFile {
    /// Adds a comment line to the header.
    pub fn comment(&mut self, text: impl Into<String>) -> &mut Self {
        self.header.push(text.into());
        self
    }

    /// Adds a section at the end and returns it.
    pub fn section(&mut self, name: impl Into<Cow<'static, str>>) -> &mut Section {
        // Generated files have up to four sections, mostly of at most sixteen settings.
        if self.sections.is_empty() {
            self.sections.reserve(4);
        }
        let at = self.sections.len();
        self.sections.push(Section { name: name.into(), items: Vec::with_capacity(16) });
        &mut self.sections[at]
    }

    /// Iterates over the values assigned to `key` in sections called `section`, in order.
    pub fn values<'a>(&'a self, section: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.settings().filter(move |(s, k, _)| *s == section && *k == key).map(|(_, _, value)| value)
    }

    /// Iterates over all assignments as (section, key, value), in order.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.sections.iter().flat_map(|section| {
            section.items.iter().filter_map(|item| match item {
                Item::Setting { key, value } => Some((section.name.as_ref(), key.as_ref(), value.as_ref())),
                Item::Comment(_) => None,
            })
        })
    }

    /// Returns the file without what systemd leaves to other programs: sections and keys whose name begins with `X-`
    /// (`systemd.syntax(7)`).
    pub fn without_extensions(&self) -> UnitFile {
        let mut file = self.clone();
        file.sections.retain(|section| !section.is_extension());
        for section in &mut file.sections {
            section.items.retain(|item| !item.is_extension());
        }
        file
    }

    /// Returns the file as systemd sees it: without comments.
    pub fn without_comments(&self) -> UnitFile {
        UnitFile {
            header: Vec::new(),
            sections: self
                .sections
                .iter()
                .map(|section| Section {
                    name: section.name.clone(),
                    items: section
                        .items
                        .iter()
                        .filter(|item| matches!(item, Item::Setting { .. }))
                        .cloned()
                        .collect(),
                })
                .collect(),
        }
    }
}

impl Item {
    /// Returns whether systemd skips this key silently.
    pub fn is_extension(&self) -> bool {
        matches!(self, Item::Setting { key, .. } if key.starts_with("X-"))
    }
}

impl Section {
    /// Returns whether systemd skips this section silently.
    pub fn is_extension(&self) -> bool {
        self.name.starts_with("X-")
    }

    /// Adds `key=value`; the value is already escaped for its place.
    pub fn set(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) -> &mut Self {
        self.items.push(Item::Setting { key: key.into(), value: Cow::Owned(value.into()) });
        self
    }

    /// Adds a setting that is the same in every file, which takes no memory of its own.
    pub fn fixed(&mut self, key: &'static str, value: &'static str) -> &mut Self {
        self.items.push(Item::Setting { key: Cow::Borrowed(key), value: Cow::Borrowed(value) });
        self
    }

    /// Returns whether `key` is assigned.
    pub fn has(&self, key: &str) -> bool {
        self.items.iter().any(|item| matches!(item, Item::Setting { key: own, .. } if own == key))
    }

    /// Removes every assignment of `key`.
    pub fn remove(&mut self, key: &str) -> &mut Self {
        self.items.retain(|item| !matches!(item, Item::Setting { key: own, .. } if own == key));
        self
    }

    /// Removes every assignment that `unwanted` accepts, by key and value, in one pass.
    pub fn remove_if(&mut self, unwanted: impl Fn(&str, &str) -> bool) -> &mut Self {
        self.items.retain(|item| !matches!(item, Item::Setting { key, value } if unwanted(key, value)));
        self
    }

    /// Adds a comment line.
    pub fn comment(&mut self, text: impl Into<String>) -> &mut Self {
        self.items.push(Item::Comment(text.into()));
        self
    }
}

impl fmt::Display for UnitFile {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text())
    }
}

impl UnitFile {
    /// Returns the text of the file, like `to_string()` but faster.
    pub fn text(&self) -> String {
        let items = self.sections.iter().flat_map(|section| &section.items);
        let settings: usize = items
            .map(|item| match item {
                Item::Setting { key, value } => key.len() + value.len() + 2,
                Item::Comment(text) => text.len() + 3,
            })
            .sum();
        let sections: usize = self.sections.iter().map(|section| section.name.len() + 4).sum();
        let header: usize = self.header.iter().map(|line| line.len() + 3).sum();
        let mut text = String::with_capacity(header + sections + settings);
        for line in &self.header {
            push_comment(&mut text, line);
        }
        for (at, section) in self.sections.iter().enumerate() {
            if at > 0 || !self.header.is_empty() {
                text.push('\n');
            }
            text.push('[');
            text.push_str(&section.name);
            text.push_str("]\n");
            for item in &section.items {
                match item {
                    Item::Setting { key, value } => {
                        text.push_str(key);
                        text.push('=');
                        text.push_str(value);
                        text.push('\n');
                    }
                    Item::Comment(line) => push_comment(&mut text, line),
                }
            }
        }
        text
    }
}

/// Writes a comment on one line, whatever was interpolated into it: LF, CR and NUL all end a line for systemd
/// (`read_line()`).
fn push_comment(text: &mut String, line: &str) {
    text.push('#');
    if !line.is_empty() {
        text.push(' ');
    }
    let begin = text.len();
    text.push_str(line);
    if !is_printable_ascii(line) && line.contains(['\n', '\r', '\0']) {
        text.truncate(begin);
        text.extend(line.chars().map(|c| if matches!(c, '\n' | '\r' | '\0') { ' ' } else { c }));
    }
    text.push('\n');
}
