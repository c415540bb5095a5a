//! A value as a device sent it, whatever it is. Pure.

use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

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
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Anything).map(Self)
        } else {
            f64::deserialize(deserializer).map(Self)
        }
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
        Ok(value as f64)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<f64, E> {
        Ok(f64::NAN)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<f64, E> {
        Ok(f64::NAN)
    }

    fn visit_unit<E: Error>(self) -> Result<f64, E> {
        Ok(f64::NAN)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<f64, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(f64::NAN)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<f64, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Reading;
    use super::*;
    use crate::wire::codec::Encoding;

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
        let not = Raw(f64::NAN);
        for encoding in Encoding::ALL {
            let bytes = encoding.encode(&not).unwrap();
            assert!(encoding.decode::<Raw>(&bytes).unwrap().0.is_nan());
        }
    }
}
