//! Strict JSON parsing, with the same rules at every endpoint.
//!
//! - An object with a duplicate member is rejected, and the error names the member: the intended value is unknown.
//! - Where the ingest endpoint allows it, an invalid token (see [`sanitize`]) invalidates only its member, not the document.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The reason why a document is rejected, with the line and the column.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JsonError(String);

/// Parses a document.
///
/// # Errors
///
/// See [`validate`].
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    validate(bytes)?;
    serde_json::from_slice(bytes).map_err(|error| JsonError(error.to_string()))
}

/// Validates a document.
///
/// # Errors
///
/// If it is not JSON (RFC 8259), or an object in it has a duplicate member.
pub fn validate(bytes: &[u8]) -> Result<(), JsonError> {
    let failed = |error: serde_json::Error| JsonError(error.to_string());
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    UniqueMembers.deserialize(&mut deserializer).map_err(failed)?;
    deserializer.end().map_err(failed)
}

/// Visits a value and checks that its objects name each member once.
struct UniqueMembers;

impl<'de> DeserializeSeed<'de> for UniqueMembers {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueMembers {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(UniqueMembers)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            map.next_value_seed(UniqueMembers)?;
            if let Some(name) = names.replace(name) {
                return Err(A::Error::custom(format_args!("the member `{name}` is there twice")));
            }
        }
        Ok(())
    }
}

/// The deepest nesting of arrays and objects. A deeper value is replaced by a string, because the parsers go no deeper.
const MAX_DEPTH: usize = 32;

/// Replaces each token that is not JSON by a string of the same characters: `NaN`, `-Infinity`, `1e400`, `.5` and `0x1F`, as some
/// programs write them; and values nested deeper than 32 levels by the string `nested`. A parser that expects a number there then
/// rejects only that member. A document without such tokens is returned unchanged.
pub fn sanitize(bytes: &[u8]) -> Cow<'_, [u8]> {
    let (mut out, mut copied, mut pos, mut depth) = (Vec::new(), 0, 0, 0_usize);
    let mut replace = |from: usize, to: usize, copied: &mut usize, text: &[u8]| {
        out.extend_from_slice(bytes.get(*copied..from).unwrap_or_default());
        out.push(b'"');
        out.extend_from_slice(text);
        out.push(b'"');
        *copied = to;
    };
    while let Some(byte) = bytes.get(pos) {
        match byte {
            b'"' => pos = end_of_string(bytes, pos),
            b'[' | b'{' if depth == MAX_DEPTH => {
                let end = end_of_nested(bytes, pos);
                replace(pos, end, &mut copied, b"nested");
                pos = end;
            }
            b'[' | b'{' => (depth, pos) = (depth + 1, pos + 1),
            b']' | b'}' => (depth, pos) = (depth.saturating_sub(1), pos + 1),
            byte if is_token_byte(*byte) => {
                let rest = bytes.get(pos..).unwrap_or_default();
                let end = pos + rest.iter().take_while(|byte| is_token_byte(**byte)).count();
                let token = bytes.get(pos..end).unwrap_or_default();
                if !is_json_value(token) {
                    replace(pos, end, &mut copied, token);
                }
                pos = end;
            }
            _ => pos += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(bytes);
    }
    out.extend_from_slice(bytes.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Whether the byte is part of a number or a word. A string needs no escape for any of them.
const fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.' | b'_' | b'#')
}

fn is_json_value(token: &[u8]) -> bool {
    serde_json::from_slice::<Value>(token).is_ok()
}

/// The index after the string that begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut pos = start + 1;
    while let Some(byte) = bytes.get(pos) {
        match byte {
            b'"' => return pos + 1,
            b'\\' => pos += 2,
            _ => pos += 1,
        }
    }
    bytes.len()
}

/// The index after the array or object that begins at `start`.
fn end_of_nested(bytes: &[u8], start: usize) -> usize {
    let (mut pos, mut depth) = (start, 0_usize);
    while let Some(byte) = bytes.get(pos) {
        match byte {
            b'"' => {
                pos = end_of_string(bytes, pos);
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        pos += 1;
        if depth == 0 {
            return pos;
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use duplex_fuzz::fuzz;

    fn sanitized(text: &str) -> String {
        String::from_utf8(sanitize(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn a_duplicate_member_is_named() {
        for text in [
            r#"{"a":1,"b":2,"a":3}"#,
            r#"[{"x":{"a":1,"a":1}}]"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            let error = parse(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains("the member `a` is there twice"), "{error}");
        }
        assert_eq!(parse(br#"[{"a":1},{"a":1}]"#).unwrap(), json!([{"a": 1}, {"a": 1}]));
        for wrong in [&b""[..], b"{", b"NaN", b"1 2", b"{\"a\":1}}", b"\xff"] {
            assert!(validate(wrong).is_err());
        }
    }

    #[test]
    fn a_token_that_is_not_json_invalidates_only_its_member() {
        for (text, with) in [
            (r#"{"v":NaN,"w":1}"#, r#"{"v":"NaN","w":1}"#),
            ("[-Infinity,+Inf,nan]", r#"["-Infinity","+Inf","nan"]"#),
            ("[1e400,-1e400,1e308]", r#"["1e400","-1e400",1e308]"#),
            ("[01,.5,5.,0x1F,1_000]", r#"["01",".5","5.","0x1F","1_000"]"#),
            ("[1.#INF,--1,1e]", r#"["1.#INF","--1","1e"]"#),
            ("[true,false,null,None]", r#"[true,false,null,"None"]"#),
        ] {
            assert_eq!(sanitized(text), with);
        }
        for same in [
            r#"{"a":"NaN \" NaN","b":[1,-2.5e-3,18446744073709551616]}"#,
            "",
            "\"NaN",
        ] {
            assert!(matches!(sanitize(same.as_bytes()), Cow::Borrowed(_)), "{same}");
        }
        let deep = format!(r#"{{"deep":{}{},"a":1}}"#, "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(parse(sanitized(&deep).as_bytes()).unwrap()["a"], 1);
        assert!(parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn arbitrary_bytes_do_not_break_the_parsers() {
        fuzz("posts", |bytes| {
            let sanitized = sanitize(bytes);
            assert_eq!(sanitize(&sanitized), sanitized, "sanitizing is idempotent");
            if parse(bytes).is_ok() {
                assert!(sanitized == bytes || parse(&sanitized).is_ok());
            }
        });
    }

    proptest! {
        #[test]
        fn json_is_not_changed(number in any::<f64>().prop_filter("JSON has it", |number| number.is_finite()), text: String, whole: i64) {
            let value = json!({ "n": number, "t": text, "w": [whole, null, true, { "t": text }] });
            let bytes = value.to_string().into_bytes();
            prop_assert_eq!(&*sanitize(&bytes), &*bytes);
            prop_assert_eq!(parse(&bytes).unwrap().to_string(), serde_json::from_slice::<Value>(&bytes).unwrap().to_string());
        }
    }
}
