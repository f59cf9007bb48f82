//! What several files add up to that systemd reads one after the other: a unit and its drop-ins, or a program's
//! configuration file and its drop-ins.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::Document;

/// Files that systemd reads one after the other as if they were one, the unit first.
///
/// A setting with one value has the last one that was assigned; a list has all that were assigned since an empty
/// assignment. Which settings are lists depends on the program that reads them, so there is a method for each.
///
/// systemd does not load a unit with an [error](Document::error), and then reads none of its drop-ins, so nothing is in
/// force. Of a drop-in, everything before its error is. Where there are only drop-ins, an empty document takes the place of
/// the unit.
///
/// ```
/// use systemd_unit_syntax::{Document, Merged};
///
/// let unit = Document::parse("[Service]\nExecStart=/bin/a\nUser=www\nEnvironment=A=1\n");
/// let drop_in = Document::parse("[Service]\nExecStart=\nExecStart=/bin/b\nUser=http\nEnvironment=B=2\n");
/// let merged = Merged::new([&unit, &drop_in]);
/// assert_eq!(merged.list("Service", "ExecStart"), ["/bin/b"]);
/// assert_eq!(merged.list("Service", "Environment"), ["A=1", "B=2"]);
/// assert_eq!(merged.last("Service", "User"), Some("http"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Merged<'a> {
    files: Vec<&'a Document>,
}

/// An assignment in one of several files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignment<'a> {
    /// The number of the file, from 0.
    pub file: usize,
    /// The value; an empty one resets a list.
    pub value: &'a str,
}

impl<'a> Merged<'a> {
    /// Merges files in the order in which systemd reads them: the unit, then its drop-ins.
    pub fn new(files: impl IntoIterator<Item = &'a Document>) -> Self {
        let mut files: Vec<&Document> = files.into_iter().collect();
        if files.first().is_some_and(|unit| unit.error().is_some()) {
            files.clear();
        }
        Self { files }
    }

    /// Iterates over all assignments of a key, in the order in which systemd reads them.
    pub fn assignments<'b>(
        &'b self,
        section: &'b str,
        key: &'b str,
    ) -> impl Iterator<Item = Assignment<'a>> + 'b {
        let files = self.files.iter().enumerate();
        files.flat_map(move |(file, document)| {
            let found = document.settings().filter(move |(s, k, _)| *s == section && *k == key);
            found.map(move |(_, _, value)| Assignment { file, value })
        })
    }

    /// Returns the values of a list: those assigned since the last empty assignment.
    pub fn list(&self, section: &str, key: &str) -> Vec<&'a str> {
        let mut values = Vec::new();
        for Assignment { value, .. } in self.assignments(section, key) {
            if value.is_empty() { values.clear() } else { values.push(value) }
        }
        values
    }

    /// Returns the value of a setting that has one: the last one assigned; `None` if that is empty or there is none.
    pub fn last(&self, section: &str, key: &str) -> Option<&'a str> {
        self.assignments(section, key).last().map(|found| found.value).filter(|value| !value.is_empty())
    }
}

/// Returns the files of drop-in directories in the order in which systemd reads them: by name, and of those with the same
/// name only the one in the directory that takes precedence. `paths` are the files of these directories, of the one with
/// the highest precedence first. Hidden files and those without the extension `.conf` are left out; a file that is empty or a
/// link to `/dev/null` masks others of its name.
///
/// ```
/// use systemd_unit_syntax::drop_in_order;
///
/// let paths = ["/etc/systemd/system/a.service.d/50-b.conf", "/usr/lib/systemd/system/a.service.d/10-a.conf",
///     "/usr/lib/systemd/system/a.service.d/50-b.conf"];
/// assert_eq!(drop_in_order(paths), [paths[1], paths[0]]);
/// ```
pub fn drop_in_order<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Vec<P> {
    let mut files: BTreeMap<OsString, P> = BTreeMap::new();
    for path in paths {
        let Some(name) = path.as_ref().file_name().map(OsString::from) else { continue };
        if name.as_encoded_bytes().ends_with(b".conf") && !name.as_encoded_bytes().starts_with(b".") {
            files.entry(name).or_insert(path);
        }
    }
    files.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_the_unit_leaves_nothing_in_force() {
        let good = Document::parse("[Service]\nUser=a\nEnvironment=A=1\n");
        let bad = Document::parse("[Service]\nUser=b\nEnvironment=B=2\n[Service\nUser=c\n");
        assert!(good.error().is_none() && bad.error().is_some());
        let found = |files: &[&Document]| {
            let merged = Merged::new(files.iter().copied());
            let user = merged.last("Service", "User").map(str::to_owned);
            (user, merged.list("Service", "Environment").join(" "))
        };
        assert_eq!(found(&[&bad, &good]), (None, String::new()));
        assert_eq!(found(&[&good, &bad]), (Some("b".to_owned()), "A=1 B=2".to_owned()));
        assert_eq!(found(&[&Document::default(), &bad, &good]), (Some("a".to_owned()), "B=2 A=1".to_owned()));
        let merged = Merged::new([&good, &bad]);
        let from: Vec<usize> = merged.assignments("Service", "User").map(|found| found.file).collect();
        assert_eq!(from, [0, 1]);
    }
}
