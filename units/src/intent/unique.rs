//! An object with names of one type and values of another, each name once. A derived map would silently use the last of
//! two equal names.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::invalid::shown;

/// Names with their values, ordered by name. A null stands for a missing name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<K, Option<V>>"))]
pub struct Unique<K, V>(Vec<(K, V)>);

impl<K, V> Default for Unique<K, V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K, V> Unique<K, V> {
    /// Iterates over names and values, ordered by name.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl<K: Serialize, V: Serialize> Serialize for Unique<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, K, V> Deserialize<'de> for Unique<K, V>
where
    K: Deserialize<'de> + Ord + fmt::Display,
    V: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names<K, V>(PhantomData<(K, V)>);
        impl<'de, K, V> Visitor<'de> for Names<K, V>
        where
            K: Deserialize<'de> + Ord + fmt::Display,
            V: Deserialize<'de>,
        {
            type Value = Unique<K, V>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Unique::default())
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut all: Vec<(K, Option<V>)> = Vec::new();
                while let Some(name) = map.next_key::<K>()? {
                    let value = map.next_value()?;
                    all.push((name, value));
                }
                all.sort_by(|(one, _), (other, _)| one.cmp(other));
                if let Some(pair) = all.windows(2).find(|pair| pair[0].0 == pair[1].0) {
                    return Err(de::Error::custom(format!(
                        "duplicate field '{}'",
                        shown(&pair[0].0.to_string())
                    )));
                }
                Ok(Unique(all.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()))
            }
        }
        deserializer.deserialize_any(Names(PhantomData))
    }
}
