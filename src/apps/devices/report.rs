//! The report format and its lenient deserialization: a value of the wrong type becomes a sentinel value, so that only that reading
//! is rejected and the rest of the report is accepted. Pure.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::wire::Millis;

/// Sentinel for a value that is not a valid integer: negative, fractional, too large, or not a number.
pub const INVALID_INTEGER: u64 = u64::MAX;
/// Sentinel for a value that is not a string.
pub const INVALID_STRING: &str = "\0";

/// One reading of a report. A field of the wrong type holds a sentinel: [`INVALID_INTEGER`], [`INVALID_STRING`] or NaN.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reading {
    pub metric: String,
    pub value: LenientNumber,
    /// `None` leaves the metric's unit unchanged.
    pub unit: Option<String>,
    /// When it was measured, by the device's clock; `None` means on receipt.
    pub at: Option<Millis>,
}

impl<'de> Deserialize<'de> for Reading {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let ReadingFields {
            metric,
            value,
            unit,
            at,
        } = object_or_default(deserializer)?;
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
    #[serde(deserialize_with = "required_string")]
    metric: String,
    value: LenientNumber,
    #[serde(deserialize_with = "optional_string")]
    unit: Option<String>,
    #[serde(deserialize_with = "optional_u64")]
    at: Option<Millis>,
}

impl Default for ReadingFields {
    fn default() -> Self {
        Self {
            metric: INVALID_STRING.to_owned(),
            value: LenientNumber(f64::NAN),
            unit: None,
            at: None,
        }
    }
}

/// A device's report. A report without readings is a heartbeat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    #[serde(default, deserialize_with = "list_or_empty")]
    pub readings: Vec<Reading>,
    #[serde(default, deserialize_with = "optional_string")]
    pub name: Option<String>,
    #[serde(default, deserialize_with = "optional_string")]
    pub place: Option<String>,
    /// Seconds until the next report.
    #[serde(default, deserialize_with = "optional_u32")]
    pub every: Option<u32>,
}

impl Report {
    /// Whether every reading carries its time, so that a retransmission is recognised as a duplicate.
    pub fn is_timestamped(&self) -> bool {
        let timestamped = |reading: &Reading| reading.at.is_some_and(|at| at != INVALID_INTEGER);
        !self.readings.is_empty() && self.readings.iter().all(timestamped)
    }
}

/// A number as a device sent it. JSON that is not a number becomes NaN, so that the reading is counted as rejected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LenientNumber(pub f64);

impl Serialize for LenientNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

impl<'de> Deserialize<'de> for LenientNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return f64::deserialize(deserializer).map(Self);
        }
        Ok(Self(match JsonScalar::deserialize(deserializer)? {
            JsonScalar::Number(number) => number,
            JsonScalar::Integer(integer) => integer as f64,
            JsonScalar::None | JsonScalar::Text(_) | JsonScalar::Other => f64::NAN,
        }))
    }
}

/// Deserializes an optional integer, or [`INVALID_INTEGER`]. `5.0` is an integer: JSON does not distinguish it from `5`.
fn optional_u64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    /// 2^53: a float does not represent every larger integer.
    const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    Ok(match JsonScalar::deserialize(deserializer)? {
        JsonScalar::None => None,
        JsonScalar::Integer(integer) => Some(integer),
        JsonScalar::Number(number) if (0.0..=MAX_EXACT).contains(&number) && number.fract() == 0.0 => {
            Some(number as u64)
        }
        JsonScalar::Number(_) | JsonScalar::Text(_) | JsonScalar::Other => Some(INVALID_INTEGER),
    })
}

/// Like [`optional_u64`]; a value that does not fit becomes `u32::MAX`.
fn optional_u32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    Ok(optional_u64(deserializer)?.map(|integer| u32::try_from(integer).unwrap_or(u32::MAX)))
}

/// Deserializes an optional string, or [`INVALID_STRING`].
fn optional_string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    if !deserializer.is_human_readable() {
        return Option::deserialize(deserializer);
    }
    Ok(match JsonScalar::deserialize(deserializer)? {
        JsonScalar::None => None,
        JsonScalar::Text(text) => Some(text),
        JsonScalar::Number(_) | JsonScalar::Integer(_) | JsonScalar::Other => Some(INVALID_STRING.to_owned()),
    })
}

/// Like [`optional_string`]; a missing string becomes [`INVALID_STRING`].
fn required_string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    if !deserializer.is_human_readable() {
        return String::deserialize(deserializer);
    }
    Ok(optional_string(deserializer)?.unwrap_or_else(|| INVALID_STRING.to_owned()))
}

/// Deserializes a list; null becomes the empty list.
fn list_or_empty<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    if deserializer.is_human_readable() {
        Ok(Option::deserialize(deserializer)?.unwrap_or_default())
    } else {
        Vec::deserialize(deserializer)
    }
}

/// Deserializes an object; any other value becomes `T::default()`.
fn object_or_default<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Deserialize<'de> + Default,
    D: Deserializer<'de>,
{
    if deserializer.is_human_readable() {
        deserializer.deserialize_any(ObjectVisitor(std::marker::PhantomData))
    } else {
        T::deserialize(deserializer)
    }
}

/// A JSON value, reduced to the cases that the lenient fields distinguish.
enum JsonScalar {
    None,
    /// A non-negative integer.
    Integer(u64),
    Number(f64),
    Text(String),
    Other,
}

impl<'de> Deserialize<'de> for JsonScalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonScalarVisitor)
    }
}

struct JsonScalarVisitor;

impl<'de> Visitor<'de> for JsonScalarVisitor {
    type Value = JsonScalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<JsonScalar, E> {
        Ok(JsonScalar::Number(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<JsonScalar, E> {
        Ok(u64::try_from(value).map_or(JsonScalar::Number(value as f64), JsonScalar::Integer))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<JsonScalar, E> {
        Ok(JsonScalar::Integer(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<JsonScalar, E> {
        Ok(JsonScalar::Text(text.to_owned()))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<JsonScalar, E> {
        Ok(JsonScalar::Other)
    }

    fn visit_unit<E: Error>(self) -> Result<JsonScalar, E> {
        Ok(JsonScalar::None)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<JsonScalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(JsonScalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonScalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(JsonScalar::Other)
    }
}

struct ObjectVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for ObjectVisitor<T> {
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
    fn values_of_the_wrong_type_become_sentinels() {
        for json in ["\"NaN\"", "null", "true", "[1,[2]]", "{\"a\":{}}", "\"21.5\""] {
            let text = format!("{{\"metric\":\"t\",\"value\":{json}}}");
            let reading: Reading = Encoding::Json.decode(text.as_bytes()).unwrap();
            assert!(reading.value.0.is_nan(), "{json}");
        }
        for (json, value) in [("21.5", 21.5), ("-3", -3.0), ("7", 7.0)] {
            let text = format!("{{\"metric\":\"t\",\"value\":{json}}}");
            assert_eq!(
                Encoding::Json.decode::<Reading>(text.as_bytes()).unwrap().value,
                LenientNumber(value)
            );
        }
        let reading = |fields: &str| {
            let text = format!("{{\"metric\":\"t\",\"value\":1,{fields}}}");
            Encoding::Json.decode::<Reading>(text.as_bytes()).unwrap()
        };
        for (at, expected) in [
            ("5", Some(5)),
            ("5.0", Some(5)),
            ("null", None),
            ("5.5", Some(INVALID_INTEGER)),
            ("-1", Some(INVALID_INTEGER)),
            ("1e300", Some(INVALID_INTEGER)),
            ("18446744073709551616", Some(INVALID_INTEGER)),
            ("\"5\"", Some(INVALID_INTEGER)),
            ("{\"a\":[1]}", Some(INVALID_INTEGER)),
        ] {
            assert_eq!(reading(&format!("\"at\":{at}")).at, expected, "{at}");
        }
        assert_eq!(reading("\"unit\":5").unit.as_deref(), Some(INVALID_STRING));
        for other in ["5", "null", "\"x\"", "[[1]]", "true", "{}"] {
            let reading: Reading = Encoding::Json.decode(other.as_bytes()).unwrap();
            assert!(reading.metric == INVALID_STRING && reading.value.0.is_nan(), "{other}");
        }
        let nan = LenientNumber(f64::NAN);
        for encoding in Encoding::ALL {
            let bytes = encoding.encode(&nan).unwrap();
            assert!(encoding.decode::<LenientNumber>(&bytes).unwrap().0.is_nan());
        }
    }
}
