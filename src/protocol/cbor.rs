//! The little CBOR (RFC 8949) that refusing a CBOR update takes: a definite map of texts.

/// Appends a map of texts, entries in the order given.
pub(super) fn write_text_map(out: &mut Vec<u8>, entries: &[(&str, &str)]) {
    const TEXT: u8 = 3 << 5;
    const MAP: u8 = 5 << 5;
    write_head(out, MAP, entries.len());
    for text in entries.iter().flat_map(|(name, value)| [*name, *value]) {
        write_head(out, TEXT, text.len());
        out.extend_from_slice(text.as_bytes());
    }
}

/// Appends the initial byte and its argument in the shortest form (section 3).
fn write_head(out: &mut Vec<u8>, major: u8, argument: usize) {
    if let Some(short) = u8::try_from(argument).ok().filter(|short| *short < 24) {
        out.push(major + short);
    } else if let Ok(one) = u8::try_from(argument) {
        out.extend_from_slice(&[major + 24, one]);
    } else if let Ok(two) = u16::try_from(argument) {
        out.push(major + 25);
        out.extend_from_slice(&two.to_be_bytes());
    } else {
        out.push(major + 27);
        out.extend_from_slice(&(argument as u64).to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_texts_have_the_bytes_of_the_standard() {
        let mut out = Vec::new();
        // RFC 8949, appendix A: the map's head, and "a" to "e" as pairs.
        write_text_map(&mut out, &[("a", "A"), ("b", "B")]);
        assert_eq!(out, [0xa2, 0x61, 0x61, 0x61, 0x41, 0x61, 0x62, 0x61, 0x42]);
        for (length, head) in [
            (23, &[0x77][..]),
            (24, &[0x78, 24]),
            (255, &[0x78, 255]),
            (256, &[0x79, 1, 0]),
            (65_536, &[0x7b, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let mut out = Vec::new();
            write_text_map(&mut out, &[("", &"x".repeat(length))]);
            assert_eq!(out[..2 + head.len()], [&[0xa1, 0x60], head].concat(), "{length}");
        }
    }
}
