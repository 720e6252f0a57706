//! User properties: pairs of strings that travel with a packet of MQTT 5 in their order (MQTT 5, 2.2.2.2).

use super::encode::EncodeError;
use super::property::Property;
use super::reader::Reader;
use super::violation::Violation;

/// User properties as they stand in bytes that were checked; nothing is copied. The default has none.
#[derive(Clone, Copy, Default)]
pub struct UserProperties<'a> {
    /// A stretch of a property block from its first user property to its last. Between them others may
    /// stand, as the standard sets no order.
    block: &'a [u8],
}

impl<'a> UserProperties<'a> {
    /// None at all.
    pub const NONE: UserProperties<'static> = UserProperties { block: &[] };

    /// Checks bytes as [`UserProperties::write`] makes them: user properties and nothing else.
    pub fn from_block(block: &'a [u8]) -> Result<Self, Violation> {
        let mut reader = Reader::new(block);
        while let Some(number) = reader.u8() {
            let text = |bytes| std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
            if number != Property::User.number()
                || reader.field().and_then(text).is_none()
                || reader.field().and_then(text).is_none()
            {
                return Err(Violation::UserProperties);
            }
        }
        Ok(Self { block })
    }

    /// Appends the pairs in the form of a property block without its length.
    pub fn write<'p>(
        pairs: impl IntoIterator<Item = (&'p str, &'p str)>,
        out: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        let start = out.len();
        for (name, value) in pairs {
            out.push(Property::User.number());
            for (field, text) in [("user property name", name), ("user property value", value)] {
                let Ok(length) = u16::try_from(text.len()) else {
                    out.truncate(start);
                    return Err(EncodeError::FieldTooLong { field, length: text.len() });
                };
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(text.as_bytes());
            }
        }
        Ok(())
    }

    /// A stretch of a checked property block that begins and ends with a user property.
    pub(super) const fn from_checked(block: &'a [u8]) -> Self {
        Self { block }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.block.is_empty()
    }

    /// Names and values in their order; a name may come more than once.
    pub fn iter(&self) -> UserPairs<'a> {
        UserPairs(Reader::new(self.block))
    }
}

impl<'a> IntoIterator for &UserProperties<'a> {
    type Item = (&'a str, &'a str);
    type IntoIter = UserPairs<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Equal if the pairs are, whatever stands between them.
impl PartialEq for UserProperties<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for UserProperties<'_> {}

impl std::fmt::Debug for UserProperties<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The pairs of [`UserProperties`].
#[derive(Debug, Clone)]
pub struct UserPairs<'a>(Reader<'a>);

impl<'a> Iterator for UserPairs<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match Property::from_number(self.0.u8()?.into())? {
                Property::User => {
                    let mut text = || std::str::from_utf8(self.0.field()?).ok();
                    return Some((text()?, text()?));
                }
                other => other.skip(&mut self.0)?,
            }
        }
    }
}
