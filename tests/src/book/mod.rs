//! The source of the book: docs/ and the other documents, with the manual pages as chapters, and links between them. `make
//! book` has mdBook make HTML of it.

mod answers;
mod links;
mod manual;

use std::fs;
use std::path::{Path, PathBuf};

pub use links::{linked, place};

/// Returns the path of a file in the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns the documents in Markdown: those in docs/, and some at the top. Their paths are relative to the repository.
pub fn documents() -> Vec<String> {
    let top = repository("docs");
    let mut documents = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    for entry in walkdir::WalkDir::new(&top).sort_by_file_name() {
        let entry = entry.expect("readable");
        if entry.path().extension().is_some_and(|extension| extension == "md") {
            documents.push(format!("docs/{}", entry.path().strip_prefix(&top).expect("below").display()));
        }
    }
    documents
}

/// Returns the names of the manual pages, without those that only lead to another.
pub fn manual_pages() -> Vec<String> {
    let entries = fs::read_dir(repository("man")).expect("man/ can be listed");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"));
    let mut names: Vec<String> =
        names.filter(|name| !text(&format!("man/{name}")).starts_with(".so ")).collect();
    names.sort();
    names
}

/// Writes the source of the book to a new directory.
pub fn write(directory: &Path) {
    let put = |path: &str, text: &str| {
        let path = directory.join(path);
        fs::create_dir_all(path.parent().expect("a directory")).expect("writable");
        fs::write(path, text).expect("writable");
    };
    for file in ["book.toml", "book.css"] {
        put(file, &text(&format!("docs/{file}")));
    }
    put("src/session.svg", &text("docs/session.svg"));
    for document in documents() {
        let place = place(&document).expect("a document has a place");
        put(&format!("src/{place}"), &linked(&document, &text(&document)));
    }
    for page in manual_pages() {
        put(&format!("src/man/{page}.md"), &manual::chapter(&page, &repository(&format!("man/{page}"))));
    }
    put("src/json-answers.md", &answers::chapter(&repository("docs/json")));
}
