//! What serde asks of a [`Decoder`]: the elements of lists and maps, the names of kinds.

use serde::de::value::{StrDeserializer, U64Deserializer};
use serde::de::{
    self, DeserializeSeed, Deserializer as _, EnumAccess, IntoDeserializer as _, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::super::document::{NodeId, Spot};
use super::{Decoder, Fault, Position};

/// The two elements of an [`At`]: where, and what.
pub(super) struct AtAccess<'c, 'd> {
    pub(super) decoder: Decoder<'c, 'd>,
    pub(super) step: u8,
}

impl<'de> SeqAccess<'de> for AtAccess<'_, '_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        self.step += 1;
        let spot = match self.decoder.position {
            Position::Node(spot) => spot,
            Position::Missing { parent, .. } => Spot::Key(parent),
        };
        if self.step == 1 {
            return seed.deserialize(U64Deserializer::new(spot.to_bits())).map(Some);
        }
        match self.decoder.position {
            Position::Missing { excused: true, .. } => Ok(None),
            Position::Missing { key, .. } => {
                self.decoder.collector.report(spot, format!("missing key `{key}`"));
                Ok(None)
            }
            Position::Node(_) => match seed.deserialize(self.decoder) {
                Ok(value) => Ok(Some(value)),
                Err(fault) => {
                    if !fault.message.is_empty() {
                        self.decoder.collector.report(fault.spot.unwrap_or(spot), fault.message);
                    }
                    Ok(None)
                }
            },
        }
    }
}

/// The fields of a struct, in its order, the missing ones included.
pub(super) struct Fields<'c, 'd> {
    pub(super) decoder: Decoder<'c, 'd>,
    pub(super) rest: std::vec::IntoIter<(&'static str, Position)>,
    pub(super) value: Option<Position>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((field, position)) = self.rest.next() else { return Ok(None) };
        self.value = Some(position);
        seed.deserialize(StrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let position = self.value.take().expect("serde asks for the key first");
        seed.deserialize(Decoder { position, ..self.decoder })
    }
}

/// The entries of a map whose keys are names that the user chose.
pub(super) struct Entries<'c, 'd> {
    pub(super) decoder: Decoder<'c, 'd>,
    pub(super) rest: std::slice::Iter<'d, (String, NodeId)>,
    pub(super) value: Option<NodeId>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        let Some((_, node)) = self.rest.next() else { return Ok(None) };
        self.value = Some(*node);
        seed.deserialize(self.decoder.at(Spot::Key(*node))).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Fault> {
        let node = self.value.take().expect("serde asks for the key first");
        seed.deserialize(self.decoder.at(Spot::Value(node)))
    }
}

pub(super) struct Items<'c, 'd> {
    pub(super) decoder: Decoder<'c, 'd>,
    pub(super) rest: std::slice::Iter<'d, NodeId>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Fault;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Fault> {
        let Some(node) = self.rest.next() else { return Ok(None) };
        seed.deserialize(self.decoder.at(Spot::Value(*node))).map(Some)
    }
}

/// A kind by its name, with its value unless the name stands alone.
pub(super) struct Kind<'c, 'd> {
    pub(super) decoder: Decoder<'c, 'd>,
    pub(super) variant: &'static str,
    pub(super) bare: bool,
}

impl<'de> EnumAccess<'de> for Kind<'_, '_> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), Fault> {
        let name: StrDeserializer<'_, Fault> = self.variant.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> VariantAccess<'de> for Kind<'_, '_> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        if self.bare {
            return Ok(());
        }
        Err(de::Error::custom(format_args!("`{}` stands alone; write it without a value", self.variant)))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Fault> {
        if self.bare {
            let variant = self.variant;
            return Err(de::Error::custom(format_args!("`{variant}` needs a value: {{ {variant}: … }}")));
        }
        let spot = self.decoder.node().map(Spot::Value)?;
        seed.deserialize(self.decoder).map_err(|fault| Fault { spot: fault.spot.or(Some(spot)), ..fault })
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.decoder.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.decoder.deserialize_struct("", fields, visitor)
    }
}
