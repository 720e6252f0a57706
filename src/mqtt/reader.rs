//! A cursor over the body of one packet. Running out of bytes is `None`; what that means is for the
//! caller to say.

/// Why bytes are not a variable byte integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BadInteger {
    /// It goes on after its fourth byte.
    Unended,
    /// It has more bytes than it needs.
    Overlong,
}

/// Seven bits a byte, lowest first, as long as the highest bit is set (3.1.1, 2.2.3; MQTT 5, 1.5.5): the value and
/// how many bytes it took, or `None` if they end before it does.
pub(super) fn variable(bytes: &[u8]) -> Result<Option<(u32, usize)>, BadInteger> {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(Some((value, place + 1)));
        }
    }
    if bytes.len() < 4 { Ok(None) } else { Err(BadInteger::Unended) }
}

/// Whether `value` fits in fewer than `length` bytes.
pub(super) fn is_overlong(value: u32, length: usize) -> bool {
    length > 1 && value >> (7 * (length - 1)) == 0
}

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    /// Goes past one byte if it is zero, such as the length of no properties.
    pub(super) fn skip_zero(&mut self) -> bool {
        let Some((0, rest)) = self.rest.split_first() else { return false };
        self.rest = rest;
        true
    }

    /// A big-endian 16-bit integer (section 1.5.2).
    pub(super) fn u16(&mut self) -> Option<u16> {
        let (bytes, rest) = self.rest.split_first_chunk::<2>()?;
        self.rest = rest;
        Some(u16::from_be_bytes(*bytes))
    }

    /// A big-endian 32-bit integer (MQTT 5, 1.5.3).
    pub(super) fn u32(&mut self) -> Option<u32> {
        let (bytes, rest) = self.rest.split_first_chunk::<4>()?;
        self.rest = rest;
        Some(u32::from_be_bytes(*bytes))
    }

    /// A variable byte integer (MQTT 5, 1.5.5), at most 268,435,455, in the fewest bytes that say it.
    pub(super) fn variable(&mut self) -> Result<Option<u32>, BadInteger> {
        let Some((value, length)) = variable(self.rest)? else { return Ok(None) };
        self.rest = self.rest.get(length..).unwrap_or_default();
        if length > 1 && value >> (7 * (length - 1)) == 0 {
            Err(BadInteger::Overlong)
        } else {
            Ok(Some(value))
        }
    }

    /// Bytes behind a two-byte length: a string that is not yet known to be UTF-8, or binary data.
    pub(super) fn field(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<2>()?;
        let (field, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.rest = rest;
        Some(field)
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// Everything that is left.
    pub(super) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn is_empty(self) -> bool {
        self.rest.is_empty()
    }
}
