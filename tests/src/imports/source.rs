//! Reads the paths that a Rust file names: what its `use` lines import, and paths in expressions that begin with
//! `crate::`, `super::` or a child module. Comments, literals and items marked `#[cfg(test)]` are skipped. This is not a
//! parser of Rust; it reads what rustfmt writes.

/// A path that a file names.
#[derive(Debug, Clone, PartialEq)]
pub struct Named {
    /// The line it starts on.
    pub line: usize,
    /// Its segments, as written.
    pub path: Vec<String>,
    /// The name that a `use` line binds; `None` in an expression.
    pub alias: Option<String>,
}

/// What one file contains.
#[derive(Debug, Default, PartialEq)]
pub struct Source {
    /// The modules that it declares.
    pub children: Vec<String>,
    /// The paths that it names.
    pub named: Vec<Named>,
}

/// Reads a file's text.
pub fn read(text: &str) -> Source {
    let tokens = without_tests(tokens(text));
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let mut source = Source::default();
    for at in 0..tokens.len() {
        if word(at) == "mod" && word(at + 2) == ";" {
            source.children.push(word(at + 1).to_owned());
        }
    }
    let mut at = 0;
    while at < tokens.len() {
        let import = word(at) == "use";
        at += usize::from(import);
        let starts = ["crate", "super"].contains(&word(at)) || source.children.iter().any(|c| c == word(at));
        let first = at == 0 || !["::", "."].contains(&word(at - 1));
        // `pub(in crate::x)` is a visibility, not an import.
        let visibility = at >= 2 && word(at - 1) == "in" && word(at - 2) == "(";
        if import || starts && first && !visibility && word(at + 1) == "::" {
            tree(&tokens, &mut at, &[], import, &mut source.named);
        } else {
            at += 1;
        }
    }
    source
}

/// Reads one path or tree of paths below `prefix`, and leaves `at` after it.
fn tree(tokens: &[Token], at: &mut usize, prefix: &[String], import: bool, named: &mut Vec<Named>) {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let line = tokens.get(*at).map_or(0, |token| token.line);
    let mut path = prefix.to_vec();
    loop {
        match word(*at) {
            "{" => {
                *at += 1;
                while !["}", ""].contains(&word(*at)) {
                    tree(tokens, at, &path, import, named);
                    *at += usize::from(word(*at) == ",");
                }
                *at += 1;
                return;
            }
            "self" => {}
            segment => path.push(segment.to_owned()),
        }
        *at += 1;
        let next = word(*at + 1);
        let goes_on = import || next.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if word(*at) != "::" || !goes_on {
            break;
        }
        *at += 1;
    }
    let alias = match word(*at) {
        "as" if import => {
            *at += 2;
            Some(word(*at - 1).to_owned())
        }
        _ => path.last().cloned().filter(|_| import),
    };
    named.push(Named { line, path, alias });
}

/// A word, `::`, or any other character that is not blank.
struct Token {
    line: usize,
    text: String,
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => 1 + string(&rest[1..]),
            'r' if rest.starts_with("r\"") || rest.starts_with("r#\"") => raw_string(rest),
            '\'' => character(rest),
            _ if first.is_alphanumeric() || first == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            ':' if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        let (token, behind) = rest.split_at(length);
        let literal = token.starts_with(['"', '\'']) || token.starts_with("r\"") || token.starts_with("r#\"");
        if !first.is_whitespace() && !token.starts_with("//") && !token.starts_with("/*") {
            tokens.push(Token { line, text: if literal { "\"".to_owned() } else { token.to_owned() } });
        }
        line += token.matches('\n').count();
        rest = behind;
    }
    tokens
}

fn block_comment(text: &str) -> usize {
    text.find("*/").map_or(text.len(), |end| end + 2)
}

/// Returns the length of a string after its opening quote.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = 2 + hashes;
    text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len())
}

/// Returns the length of a character literal, or 1 for the quote of a lifetime.
fn character(text: &str) -> usize {
    let mut behind = text[1..].char_indices();
    match behind.next() {
        Some((_, '\\')) => text[3..].find('\'').map_or(1, |end| 3 + end + 1),
        Some(_) => behind.next().filter(|(_, c)| *c == '\'').map_or(1, |(at, _)| 1 + at + 1),
        None => 1,
    }
}

/// Drops each item marked `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    const TEST: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut rest = tokens.into_iter().peekable();
    while let Some(token) = rest.next() {
        kept.push(token);
        let tail = kept.len().saturating_sub(TEST.len());
        if kept[tail..].iter().map(|token| token.text.as_str()).eq(TEST) {
            kept.truncate(tail);
            let mut depth = 0usize;
            for token in rest.by_ref() {
                match token.text.as_str() {
                    "{" => depth += 1,
                    "}" => depth = depth.saturating_sub(1),
                    ";" if depth == 0 => break,
                    _ => continue,
                }
                if token.text == "}" && depth == 0 {
                    break;
                }
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(text: &str) -> Vec<String> {
        read(text).named.iter().map(|named| named.path.join("::")).collect()
    }

    #[test]
    fn use_lines_and_expressions() {
        let text = "mod low;\npub use crate::{a::{self, B as C}, d};\nuse std::fs;\n\
                    fn f() { low::go(super::x::<u8>()); crate::e::F::new(self.low, other::low::g) }\n";
        let expected =
            ["crate::a", "crate::a::B", "crate::d", "std::fs", "low::go", "super::x", "crate::e::F::new"];
        assert_eq!(paths(text), expected);
        let source = read(text);
        assert_eq!(source.children, ["low"]);
        assert_eq!((source.named[1].alias.as_deref(), source.named[1].line), (Some("C"), 2));
        assert_eq!(source.named[4].alias, None);
    }

    #[test]
    fn comments_literals_and_tests_are_skipped() {
        let text = "// use crate::a;\n/* crate::b::c */ const S: &str = \"\\\" crate::d::e\"; const R: &str = r#\"\" crate::x::y\"#;\n\
                    const C: [char; 3] = ['\"', '\\'', 'x']; fn f<'a>(x: &'a str) { crate::f::g() }\n\
                    pub(in crate::h) struct T; pub(crate) struct U;\n\
                    #[cfg(test)]\nuse crate::i;\n#[cfg(test)]\nmod tests { use super::*; fn f() { crate::j::k() } }\nuse crate::l;\n";
        assert_eq!(paths(text), ["crate::f::g", "crate::l"]);
    }
}
