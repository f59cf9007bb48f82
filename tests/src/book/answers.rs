//! The chapter about answers in JSON: the schema of each command.

use std::fs;
use std::path::Path;

/// Returns the chapter.
pub(super) fn chapter(directory: &Path) -> String {
    let mut text = "# JSON answers\n\nThe schema of what each command prints with `--json`, as installed in \
        `share/nixos-nspawn/json`. [nixos-nspawn-ctl(8)](man/nixos-nspawn-ctl.8.md) describes the fields.\n"
        .to_owned();
    let entries = fs::read_dir(directory).expect("readable").map(|entry| entry.expect("readable").path());
    let mut files: Vec<_> = entries.collect();
    files.sort();
    for file in files {
        let schema = fs::read_to_string(&file).expect("readable");
        let name = file.file_name().expect("a name").to_string_lossy().into_owned();
        let command = name.trim_end_matches(".schema.json");
        text.push_str(&format!(
            "\n## {command}\n\n<details><summary><code>{name}</code></summary>\n\n```json\n{}\n```\n\n</details>\n",
            schema.trim_end()
        ));
    }
    text
}
