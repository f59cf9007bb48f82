//! The serde side of the reader. It compares the wanted type with the value before a visitor sees it, so that messages
//! use JSON's terms.

use std::borrow::Cow;

use serde::Deserializer;
use serde::de::value::BorrowedStrDeserializer;
use serde::de::{self, DeserializeSeed, SeqAccess, Unexpected, Visitor};

use super::error::{Error, Kind, Step, described};
use super::number::Number;
use super::object::Fields;
use super::reader::Reader;
use crate::number_type::whole;

const TEXT: &str = "a string";

/// The name of a struct that may also be written as a text.
pub(crate) const TEXT_OR_OBJECT: &str = "a text or an object";

impl<'de> Reader<'de> {
    /// Reads the next value and returns the error that something else was expected.
    fn unexpected(&mut self, expected: &str) -> Error {
        let start = self.offset();
        let found = match self.peek() {
            Some(b'{') => Ok(described(&Unexpected::Map)),
            Some(b'[') => Ok(described(&Unexpected::Seq)),
            Some(b'"') => self.string().map(|text| described(&Unexpected::Str(&text))),
            Some(b'-' | b'0'..=b'9') => self.number().map(|number| described(&number.unexpected())),
            Some(b't') => self.word("true").map(|()| described(&Unexpected::Bool(true))),
            Some(b'f') => self.word("false").map(|()| described(&Unexpected::Bool(false))),
            Some(b'n') => self.word("null").map(|()| described(&Unexpected::Unit)),
            Some(_) => Err(self.syntax("expected value")),
            None => Err(self.syntax("EOF while parsing a value")),
        };
        match found {
            Ok(found) => self.wrong(start, Kind::Type { found, expected: expected.to_owned() }),
            Err(error) => error,
        }
    }

    fn text(&mut self) -> Result<Cow<'de, str>, Error> {
        if self.peek() == Some(b'"') { self.string() } else { Err(self.unexpected(TEXT)) }
    }

    /// Reads a whole number that is in the range of `visit`.
    fn integer<V>(
        &mut self,
        expected: &'static str,
        visit: impl FnOnce(Number) -> Option<Result<V, Error>>,
    ) -> Result<V, Error> {
        let start = self.offset();
        if !matches!(self.peek(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.unexpected(expected));
        }
        let number = self.number()?;
        if let Some(result) = visit(number) {
            return result;
        }
        let (found, expected) = (described(&number.unexpected()), expected.to_owned());
        let kind = match number {
            Number::Float(number) if whole(number).is_none() => Kind::Type { found, expected },
            _ => Kind::Value { found, expected },
        };
        Err(self.wrong(start, kind))
    }

    fn object<V: Visitor<'de>>(
        &mut self,
        known: Option<&'static [&'static str]>,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let except = self.path.is_empty().then_some(self.except).flatten();
        self.open()?;
        let mut fields = Fields::new(self, known, except);
        let value = visitor.visit_map(&mut fields)?;
        fields.end()?;
        Ok(value)
    }

    fn list<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Error> {
        self.open()?;
        let mut elements = Elements { reader: self, count: 0, ended: false };
        let value = visitor.visit_seq(&mut elements)?;
        if !elements.ended && elements.reader.next(elements.count == 0, b']')? {
            return Err(de::Error::custom(format!("has more than {} elements", elements.count)));
        }
        Ok(value)
    }
}

impl Number {
    fn unexpected(self) -> Unexpected<'static> {
        match self {
            Self::Unsigned(number) => Unexpected::Unsigned(number),
            Self::Signed(number) => Unexpected::Signed(number),
            Self::Float(number) => Unexpected::Float(number),
        }
    }

    fn as_i64(self) -> Option<i64> {
        match self {
            Self::Unsigned(number) => i64::try_from(number).ok(),
            Self::Signed(number) => Some(number),
            Self::Float(number) => whole(number),
        }
    }

    fn as_u64(self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(number),
            Self::Signed(_) => None,
            Self::Float(number) => whole(number).and_then(|number| u64::try_from(number).ok()),
        }
    }
}

struct Elements<'a, 'de> {
    reader: &'a mut Reader<'de>,
    count: usize,
    ended: bool,
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.ended || !self.reader.next(self.count == 0, b']')? {
            self.ended = true;
            return Ok(None);
        }
        self.reader.few(self.count + 1)?;
        let start = self.reader.offset();
        self.reader.path.push(Step::Element(self.count));
        let value = seed.deserialize(&mut *self.reader).map_err(|e| e.or_at(start, &self.reader.path))?;
        self.reader.path.pop();
        self.count += 1;
        Ok(Some(value))
    }
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            Some(b'{') => self.object(None, visitor),
            Some(b'[') => self.list(visitor),
            Some(b'"') => match self.string()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            Some(b'-' | b'0'..=b'9') => match self.number()? {
                Number::Unsigned(number) => visitor.visit_u64(number),
                Number::Signed(number) => visitor.visit_i64(number),
                Number::Float(number) => visitor.visit_f64(number),
            },
            Some(b't') => self.word("true").and_then(|()| visitor.visit_bool(true)),
            Some(b'f') => self.word("false").and_then(|()| visitor.visit_bool(false)),
            Some(b'n') => self.word("null").and_then(|()| visitor.visit_unit()),
            Some(_) => Err(self.syntax("expected value")),
            None => Err(self.syntax("EOF while parsing a value")),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.peek() {
            Some(b't' | b'f') => self.deserialize_any(visitor),
            _ => Err(self.unexpected("a boolean")),
        }
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integer("a whole number", |number| Some(visitor.visit_i64(number.as_i64()?)))
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integer("a whole number, not negative", |number| Some(visitor.visit_u64(number.as_u64()?)))
    }

    fn deserialize_u32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.integer("a whole number from 0 to 4294967295", |number| {
            Some(visitor.visit_u32(u32::try_from(number.as_u64()?).ok()?))
        })
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.text()? {
            Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
            Cow::Owned(text) => visitor.visit_string(text),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.peek() == Some(b'n') {
            self.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.peek() == Some(b'[') { self.list(visitor) } else { Err(self.unexpected("a list")) }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.peek() == Some(b'{') { self.object(None, visitor) } else { Err(self.unexpected("an object")) }
    }

    /// Refuses a list of a struct's field values, which serde's visitors would accept.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.peek() == Some(b'{') {
            self.object(Some(fields), visitor)
        } else if name == TEXT_OR_OBJECT {
            self.deserialize_any(visitor)
        } else {
            Err(self.unexpected("an object"))
        }
    }

    /// Reads a variant, which is a string; no enum of ours holds values.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let start = self.offset();
        let found = self.text()?;
        match variants.iter().find(|known| **known == found) {
            Some(known) => visitor.visit_enum(BorrowedStrDeserializer::new(known)),
            None => Err(self.wrong(start, Kind::Variant { found: found.into_owned(), known: variants })),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.skip()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct
    }
}
