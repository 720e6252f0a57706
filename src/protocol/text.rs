//! What the model's patterns allow in texts.

/// Whether `text` has none of the characters that the model's `[^\p{C}]*` bars: control, format,
/// surrogate, private-use and non-characters.
///
/// Code points that no character is assigned to yet pass: which those are changes every year.
pub(super) fn is_printable(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || is_format(c) || is_private(c) || is_no_character(c))
}

/// Whether `text` is 1 to 64 characters of `[\x21-\x7E]`: a client token.
pub(super) fn is_token(text: &str) -> bool {
    matches!(text.len(), 1..=64) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Whether `text` has the form `type/subtype`, with or without parameters (RFC 9110, section 8.3.1).
pub(super) fn is_media_type(text: &str) -> bool {
    let media_type = text.split(';').next().unwrap_or_default().trim_end_matches([' ', '\t']);
    let is_name = |name: &str| !name.is_empty() && name.bytes().all(is_token_byte);
    media_type.split_once('/').is_some_and(|(kind, subtype)| is_name(kind) && is_name(subtype))
        && text.bytes().all(|b| matches!(b, b' '..=b'~'))
}

/// A `tchar` of RFC 9110, section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// General category Cf of Unicode 16.
fn is_format(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}'
        | '\u{2066}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0001}'
        | '\u{e0020}'..='\u{e007f}')
}

fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{ffffd}' | '\u{100000}'..='\u{10fffd}')
}

fn is_no_character(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printable_is_what_the_pattern_lets_through() {
        for (text, expected) in [
            ("", true),
            ("Door 7, Süd – 50 % 🔒", true),
            ("two\nlines", false),
            ("tab\t", false),
            ("del\u{7f}", false),
            ("c1\u{85}", false),
            ("soft\u{ad}hyphen", false),
            ("zero\u{200b}width", false),
            ("bom\u{feff}", false),
            ("private\u{e000}", false),
            ("none\u{ffff}", false),
        ] {
            assert_eq!(is_printable(text), expected, "{text:?}");
        }
    }

    #[test]
    fn media_types_look_like_type_and_subtype() {
        for (text, expected) in [
            ("application/json", true),
            ("application/vnd.acme+json; charset=utf-8", true),
            ("text/plain ;q=1", true),
            ("", false),
            ("json", false),
            ("/json", false),
            ("application/", false),
            ("a/b/c", false),
            ("a b/c", false),
            ("a/b\r\nX: y", false),
        ] {
            assert_eq!(is_media_type(text), expected, "{text:?}");
        }
    }

    #[test]
    fn tokens_are_visible_ascii() {
        for (text, expected) in
            [("a", true), ("!~", true), ("", false), ("a b", false), ("ü", false), (&"x".repeat(65), false)]
        {
            assert_eq!(is_token(text), expected, "{text:?}");
        }
    }
}
