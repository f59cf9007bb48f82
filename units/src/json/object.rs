//! The fields of an object, each name once.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::{Error, Kind, PassedOver, Step, field};
use super::reader::Reader;

/// An object whose opening bracket has been read.
pub(super) struct Fields<'a, 'de> {
    reader: &'a mut Reader<'de>,
    /// The names of a struct's fields.
    known: Option<&'static [&'static str]>,
    except: Option<&'static str>,
    /// Where the names of this object begin among those of the reader.
    start: usize,
    /// The names beyond the first few.
    many: BTreeSet<Cow<'de, str>>,
    count: usize,
    ended: bool,
}

impl<'a, 'de> Fields<'a, 'de> {
    pub(super) fn new(
        reader: &'a mut Reader<'de>,
        known: Option<&'static [&'static str]>,
        except: Option<&'static str>,
    ) -> Self {
        let start = reader.names.len();
        Self { reader, known, except, start, many: BTreeSet::new(), count: 0, ended: false }
    }

    /// Reads the name of the next wanted field; returns it with its offset.
    fn next(&mut self) -> Result<Option<(usize, Cow<'de, str>)>, Error> {
        while !self.ended {
            if !self.reader.next(self.count == 0, b'}')? {
                self.ended = true;
                self.reader.names.truncate(self.start);
                break;
            }
            self.count += 1;
            self.reader.few(self.count)?;
            let start = self.reader.offset();
            let name = self.reader.name()?;
            if !self.is_new(name.clone()) {
                return Err(self.reader.wrong(start, Kind::DuplicateField(name.into_owned())));
            }
            self.reader.path.push(Step::Field(name.clone()));
            if !self.is_passed_over(&name) {
                return Ok(Some((start, name)));
            }
            self.reader.skip()?;
            self.reader.path.pop();
        }
        Ok(None)
    }

    /// Remembers a name; returns false if it occurred before. A few names are compared one by one.
    fn is_new(&mut self, name: Cow<'de, str>) -> bool {
        const FEW: usize = 16;
        let few = self.reader.names.get(self.start..).unwrap_or_default();
        if few.contains(&name) {
            return false;
        }
        if few.len() == FEW {
            return self.many.insert(name);
        }
        self.reader.names.push(name);
        true
    }

    fn is_passed_over(&mut self, name: &str) -> bool {
        if self.except == Some(name) {
            return true;
        }
        let (Some(known), Some(list)) = (self.known, &mut self.reader.passed_over) else { return false };
        if known.contains(&name) {
            return false;
        }
        list.push(PassedOver { field: field(&self.reader.path), name: name.to_owned(), known });
        true
    }

    /// Reads the fields that a visitor has left.
    pub(super) fn end(&mut self) -> Result<(), Error> {
        while self.next()?.is_some() {
            self.reader.skip()?;
            self.reader.path.pop();
        }
        Ok(())
    }
}

impl<'de> MapAccess<'de> for Fields<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((start, name)) = self.next()? else { return Ok(None) };
        seed.deserialize(name_of(name)).map(Some).map_err(|error| error.or_at(start, &self.reader.path))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let start = self.reader.offset();
        let value = seed.deserialize(&mut *self.reader).map_err(|e| e.or_at(start, &self.reader.path))?;
        self.reader.path.pop();
        Ok(value)
    }
}

/// Returns a deserializer that reads a field's name like a string.
fn name_of<'de>(name: Cow<'de, str>) -> impl Deserializer<'de, Error = Error> {
    name.into_deserializer()
}

/// Returns the names of the fields that a struct reads.
pub(crate) fn field_names<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The struct names its fields here, and never gets any.
    drop(T::deserialize(Asked { names: &mut names }));
    names
}

struct Asked<'a> {
    names: &'a mut &'static [&'static str],
}

/// What every struct gets in place of its fields. It takes no memory, since this is asked for each text of a list.
#[derive(Debug)]
struct OnlyAsked;

impl fmt::Display for OnlyAsked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("only the names were asked for")
    }
}

impl std::error::Error for OnlyAsked {}

impl de::Error for OnlyAsked {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl<'de> Deserializer<'de> for Asked<'_> {
    type Error = OnlyAsked;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, OnlyAsked> {
        *self.names = fields;
        Err(OnlyAsked)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, OnlyAsked> {
        Err(OnlyAsked)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
