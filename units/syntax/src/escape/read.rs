//! The texts that settings hold; the inverse of the functions that write them.

use super::error::EscapeError;
use crate::words;

/// Returns the assignments of an `Environment=` line in a unit; the inverse of [`environment`](super::environment).
pub fn environment_values(value: &str) -> Result<Vec<String>, EscapeError> {
    words::unit_words(value)?.into_iter().map(without_specifiers).collect()
}

/// Returns the words of an `Exec*=` line, the executable with its prefixes first; the inverse of
/// [`executable`](super::executable) and [`exec_argument`](super::exec_argument). Variables are errors, since their
/// values are not known.
pub fn exec_values(value: &str) -> Result<Vec<String>, EscapeError> {
    let mut words = words::command_words(value)?.into_iter();
    let mut values = Vec::with_capacity(words.len());
    if let Some(executable) = words.next() {
        values.push(without_specifiers(executable)?);
    }
    for argument in words {
        values.push(without_variables(without_specifiers(argument)?)?);
    }
    Ok(values)
}

/// Returns the paths of a `RequiresMountsFor=` line; the inverse of
/// [`requires_mounts_for`](super::requires_mounts_for).
pub fn requires_mounts_for_values(value: &str) -> Result<Vec<String>, EscapeError> {
    words::path_words(value)?.into_iter().map(without_specifiers).collect()
}

/// Returns the text of a raw unit setting; the inverse of [`unit_raw`](super::unit_raw).
pub fn unit_raw_value(value: &str) -> Result<String, EscapeError> {
    without_specifiers(value.to_owned())
}

/// Returns the words of a `Parameters=` or `Environment=` line in a `.nspawn` file; the inverse of
/// [`nspawn_word`](super::nspawn_word).
pub fn nspawn_values(value: &str) -> Result<Vec<String>, EscapeError> {
    Ok(words::nspawn_words(value)?)
}

/// Returns the text of one field; the inverse of [`bind_field`](super::bind_field). For whole values see
/// [`words::bind_fields`].
pub fn bind_field_value(field: &str) -> Result<String, EscapeError> {
    Ok(words::first_field(field)?.0)
}

/// Undoes `%%` as `specifier_printf()` does: a `%` before anything but a letter or digit stands for itself.
fn without_specifiers(text: String) -> Result<String, EscapeError> {
    undoubled(text, '%', |text, rest| match rest.chars().next() {
        Some(specifier) if specifier.is_ascii_alphanumeric() => {
            Err(EscapeError::Specifier { value: text.to_owned(), specifier })
        }
        _ => Ok(()),
    })
}

/// Undoes `$$` as `replace_env_argv()` does: a variable is `${` anywhere, or `$` at the start of a word.
fn without_variables(word: String) -> Result<String, EscapeError> {
    undoubled(word, '$', |word, rest| {
        if rest.starts_with('{') || rest.len() + 1 == word.len() {
            return Err(EscapeError::Variable { value: word.to_owned() });
        }
        Ok(())
    })
}

/// Replaces each pair of `sign` by one. A single one stays if `check` accepts it, given the text and what follows.
fn undoubled(
    text: String,
    sign: char,
    check: impl Fn(&str, &str) -> Result<(), EscapeError>,
) -> Result<String, EscapeError> {
    let mut result = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once(sign) {
        result.push_str(before);
        result.push(sign);
        rest = match after.strip_prefix(sign) {
            Some(rest) => rest,
            None => {
                check(&text, after)?;
                after
            }
        };
    }
    result.push_str(rest);
    Ok(result)
}
