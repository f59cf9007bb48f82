//! C escapes, as `src/basic/escape.c` undoes them.

/// Undoes one C escape (`cunescape_one()`), given without its backslash: pushes what it stands for and returns how many
/// bytes it takes; `None` if systemd does not know it. `\u` with half of a surrogate pair is refused as in newer
/// versions; older ones made broken UTF-8 of it.
pub(super) fn c_escape(text: &str, word: &mut Vec<u8>) -> Option<usize> {
    let first = *text.as_bytes().first()?;
    let simple = match first {
        b'a' => 0x07,
        b'b' => 0x08,
        b'f' => 0x0c,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 0x0b,
        b's' => b' ',
        b'\\' | b'"' | b'\'' => first,
        b'x' => {
            word.push(u8::try_from(digits(text, 1, 2, 16)?).ok()?);
            return Some(3);
        }
        b'0'..=b'7' => {
            word.push(u8::try_from(digits(text, 0, 3, 8)?).ok()?);
            return Some(3);
        }
        b'u' | b'U' => {
            let length = if first == b'u' { 4 } else { 8 };
            let character = char::from_u32(digits(text, 1, length, 16)?)?;
            if first == b'U' && is_noncharacter(character) {
                return None;
            }
            word.extend(character.encode_utf8(&mut [0; 4]).bytes());
            return Some(1 + length);
        }
        _ => return None,
    };
    word.push(simple);
    Some(1)
}

/// Returns the number written with exactly `length` digits from `from` on; `None` for zero too, since no escape may
/// stand for NUL.
fn digits(text: &str, from: usize, length: usize, radix: u32) -> Option<u32> {
    let digits = text.get(from..from + length)?;
    // from_str_radix() takes a sign, systemd does not.
    if digits.starts_with('+') {
        return None;
    }
    u32::from_str_radix(digits, radix).ok().filter(|number| *number != 0)
}

/// Returns whether systemd takes the character for broken UTF-8 (`unichar_is_valid()`): the code points that Unicode
/// reserves as noncharacters.
pub(crate) fn is_noncharacter(character: char) -> bool {
    let code = u32::from(character);
    (0xfdd0..=0xfdef).contains(&code) || code & 0xfffe == 0xfffe
}
