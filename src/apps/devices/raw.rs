//! Values as a device sent them, whatever they are: one that is not what its place asks for is read as a mark that says so, so that
//! it is refused by itself and what stands beside it counts. Pure.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wire::Millis;

/// Stands for a whole number that is none: negative, with a fraction, too large, or no number at all.
pub const NO_WHOLE: u64 = u64::MAX;
/// Stands for a text that is none.
pub const NO_TEXT: &str = "\0";

/// One value of a report. What is not as it should be is a mark: [`NO_WHOLE`], [`NO_TEXT`] or no number.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    pub metric: String,
    pub value: Raw,
    /// What it was is kept where it is not said.
    pub unit: Option<String>,
    /// By the device's clock; none is now.
    pub at: Option<Millis>,
}

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ReadingFields {
            metric,
            value,
            unit,
            at,
        } = object(deserializer)?;
        Ok(Self {
            metric,
            value,
            unit,
            at,
        })
    }
}

#[derive(Deserialize)]
#[serde(default)]
struct ReadingFields {
    #[serde(deserialize_with = "name")]
    metric: String,
    value: Raw,
    #[serde(deserialize_with = "text")]
    unit: Option<String>,
    #[serde(deserialize_with = "whole")]
    at: Option<Millis>,
}

impl Default for ReadingFields {
    fn default() -> Self {
        Self {
            metric: NO_TEXT.to_owned(),
            value: Raw(f64::NAN),
            unit: None,
            at: None,
        }
    }
}

/// What a device says. Without readings it only says that it is there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    #[serde(default, deserialize_with = "list")]
    pub readings: Vec<Reading>,
    #[serde(default, deserialize_with = "text")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    pub place: Option<String>,
    /// Seconds until the next one.
    #[serde(default, deserialize_with = "short")]
    pub every: Option<u32>,
}

impl Report {
    /// Sent twice, it can be known as the same.
    pub fn is_dated(&self) -> bool {
        let dated = |reading: &Reading| reading.at.is_some_and(|at| at != NO_WHOLE);
        !self.readings.is_empty() && self.readings.iter().all(dated)
    }
}

/// A value as a device sent it: whatever is no number in JSON is read as one that is not, so that it can be counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raw(pub f64);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return f64::deserialize(deserializer).map(Self);
        }
        Ok(Self(match Any::deserialize(deserializer)? {
            Any::Number(number) => number,
            Any::Whole(whole) => whole as f64,
            Any::None | Any::Text(_) | Any::Other => f64::NAN,
        }))
    }
}

/// A whole number, none, or [`NO_WHOLE`]. `5.0` is whole: JSON makes no difference.
pub fn whole<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    /// Whole numbers beyond are not all told apart by a float.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    Ok(match Any::deserialize(deserializer)? {
        Any::None => None,
        Any::Whole(whole) => Some(whole),
        Any::Number(number) if (0.0..=EXACT).contains(&number) && number.fract() == 0.0 => Some(number as u64),
        Any::Number(_) | Any::Text(_) | Any::Other => Some(NO_WHOLE),
    })
}

/// As [`whole`]; what does not fit is `u32::MAX`.
pub fn short<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    Ok(whole(deserializer)?.map(|whole| u32::try_from(whole).unwrap_or(u32::MAX)))
}

/// A text, none, or [`NO_TEXT`].
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    Ok(match Any::deserialize(deserializer)? {
        Any::None => None,
        Any::Text(text) => Some(text),
        Any::Number(_) | Any::Whole(_) | Any::Other => Some(NO_TEXT.to_owned()),
    })
}

/// As [`text`], where there must be one.
pub fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    if !deserializer.is_human_readable() {
        return String::deserialize(deserializer);
    }
    Ok(text(deserializer)?.unwrap_or_else(|| NO_TEXT.to_owned()))
}

/// A list, or none.
pub fn list<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    if deserializer.is_human_readable() {
        Ok(Option::deserialize(deserializer)?.unwrap_or_default())
    } else {
        Vec::deserialize(deserializer)
    }
}

/// What is no object is read as `T::default()`.
pub fn object<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    if deserializer.is_human_readable() {
        deserializer.deserialize_any(Object(std::marker::PhantomData))
    } else {
        T::deserialize(deserializer)
    }
}

/// A value of JSON as far as it is looked at here.
enum Any {
    None,
    /// Not negative.
    Whole(u64),
    Number(f64),
    Text(String),
    Other,
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Any, E> {
        Ok(Any::Number(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Any, E> {
        Ok(u64::try_from(value).map_or(Any::Number(value as f64), Any::Whole))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Any, E> {
        Ok(Any::Whole(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Any, E> {
        Ok(Any::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Any, E> {
        Ok(Any::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<Any, E> {
        Ok(Any::None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Any, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Any::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Any, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Any::Other)
    }
}

struct Object<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Object<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_unit<E: Error>(self) -> Result<T, E> {
        Ok(T::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(T::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::codec::Encoding;

    #[test]
    fn what_is_no_number_is_read_as_none() {
        for json in ["\"NaN\"", "null", "true", "[1,[2]]", "{\"a\":{}}", "\"21.5\""] {
            let text = format!("{{\"metric\":\"t\",\"value\":{json}}}");
            let reading: Reading = Encoding::Json.decode(text.as_bytes()).unwrap();
            assert!(reading.value.0.is_nan(), "{json}");
        }
        for (json, value) in [("21.5", 21.5), ("-3", -3.0), ("7", 7.0)] {
            let text = format!("{{\"metric\":\"t\",\"value\":{json}}}");
            assert_eq!(
                Encoding::Json.decode::<Reading>(text.as_bytes()).unwrap().value,
                Raw(value)
            );
        }
        let reading = |fields: &str| {
            let text = format!("{{\"metric\":\"t\",\"value\":1,{fields}}}");
            Encoding::Json.decode::<Reading>(text.as_bytes()).unwrap()
        };
        for (at, read) in [
            ("5", Some(5)),
            ("5.0", Some(5)),
            ("null", None),
            ("5.5", Some(NO_WHOLE)),
            ("-1", Some(NO_WHOLE)),
            ("1e300", Some(NO_WHOLE)),
            ("18446744073709551616", Some(NO_WHOLE)),
            ("\"5\"", Some(NO_WHOLE)),
            ("{\"a\":[1]}", Some(NO_WHOLE)),
        ] {
            assert_eq!(reading(&format!("\"at\":{at}")).at, read, "{at}");
        }
        assert_eq!(reading("\"unit\":5").unit.as_deref(), Some(NO_TEXT));
        for nothing in ["5", "null", "\"x\"", "[[1]]", "true", "{}"] {
            let reading: Reading = Encoding::Json.decode(nothing.as_bytes()).unwrap();
            assert!(reading.metric == NO_TEXT && reading.value.0.is_nan(), "{nothing}");
        }
        let not = Raw(f64::NAN);
        for encoding in Encoding::ALL {
            let bytes = encoding.encode(&not).unwrap();
            assert!(encoding.decode::<Raw>(&bytes).unwrap().0.is_nan());
        }
    }
}
