//! Parses the Markdown of descriptions.

/// A part of a description.
pub(super) enum Block {
    /// A paragraph on one line.
    Paragraph(String),
    /// The text between fences.
    Code(String),
}

/// A part of a paragraph.
pub(super) enum Piece<'a> {
    Text(&'a str),
    /// Between grave accents, with the role in front of it, such as `manpage`.
    Code(Option<&'a str>, &'a str),
}

const ROLES: [&str; 2] = ["manpage", "option"];

pub(super) fn blocks(description: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (index, piece) in description.split("```").enumerate() {
        if index % 2 == 1 {
            let code = piece.strip_prefix("nix").unwrap_or(piece);
            blocks.push(Block::Code(code.trim_matches('\n').to_owned()));
            continue;
        }
        let paragraphs = piece.split("\n\n").map(|text| text.trim().replace('\n', " "));
        blocks.extend(paragraphs.filter(|text| !text.is_empty()).map(Block::Paragraph));
    }
    blocks
}

/// Returns the text and the code of a paragraph in alternation, beginning and ending with text, which may be empty.
pub(super) fn pieces(paragraph: &str) -> Vec<Piece<'_>> {
    let parts: Vec<&str> = paragraph.split('`').collect();
    let mut pieces = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        if index % 2 == 1 {
            let role = role(parts[index - 1]).map(|(role, _)| role);
            pieces.push(Piece::Code(role, part));
        } else {
            let before = role(part).filter(|_| index + 1 < parts.len());
            pieces.push(Piece::Text(before.map_or(part, |(_, text)| text)));
        }
    }
    pieces
}

/// Returns the role at the end of a text, and the text without it.
fn role(text: &str) -> Option<(&'static str, &str)> {
    ROLES.into_iter().find_map(|role| Some((role, text.strip_suffix(&format!("{{{role}}}"))?)))
}

/// Returns Markdown without the roles of NixOS's manual.
pub(super) fn plain(text: &str) -> String {
    ROLES.into_iter().fold(text.to_owned(), |text, role| text.replace(&format!("{{{role}}}"), ""))
}
