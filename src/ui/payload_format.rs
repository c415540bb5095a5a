//! Formatting of message payloads: a hex dump, and indented JSON. Pure.

use std::fmt::Write;

/// A hex dump of at most `limit` bytes: one line of offset, bytes and printable ASCII for every sixteen.
pub fn hex_dump(bytes: &[u8], limit: usize) -> String {
    let shown = &bytes[..bytes.len().min(limit)];
    shown
        .chunks(16)
        .enumerate()
        .fold(String::new(), |mut text, (line, chunk)| {
            let digits: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
            let ascii: String = chunk
                .iter()
                .map(|&byte| {
                    if (0x20..0x7f).contains(&byte) {
                        char::from(byte)
                    } else {
                        '.'
                    }
                })
                .collect();
            let _ = writeln!(text, "{:08x}  {:<47}  {ascii}", line * 16, digits.join(" "));
            text
        })
}

/// Indents JSON. Only whitespace changes; numbers and duplicate keys are preserved. `json` must be valid.
pub fn indent_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    let mut chars = json.chars().peekable();
    while let Some(char) = chars.next() {
        if in_string {
            out.push(char);
            in_string = escaped || char != '"';
            escaped = !escaped && char == '\\';
            continue;
        }
        match char {
            '"' => {
                in_string = true;
                out.push(char);
            }
            '{' | '[' => {
                out.push(char);
                while chars.next_if(|next| next.is_ascii_whitespace()).is_some() {}
                if let Some(close) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(close);
                } else {
                    depth += 1;
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut out, depth);
                out.push(char);
            }
            ',' => {
                out.push(char);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            white if white.is_ascii_whitespace() => (),
            other => out.push(other),
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_dump_has_offset_bytes_and_ascii() {
        let dump = hex_dump(b"0123456789abcdef\x00!", 100);
        assert_eq!(
            dump,
            "00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  0123456789abcdef\n\
             00000010  00 21                                            .!\n"
        );
        assert_eq!(hex_dump(&[0; 32], 16).lines().count(), 1);
    }

    #[test]
    fn json_is_indented() {
        assert_eq!(
            indent_json(r#"{"a":[1.0e400,{}],"b":"x\",{"}"#),
            "{\n  \"a\": [\n    1.0e400,\n    {}\n  ],\n  \"b\": \"x\\\",{\"\n}"
        );
        assert_eq!(indent_json("[ ]"), "[]");
    }

    proptest! {
        #[test]
        fn indenting_adds_only_white_space(texts in prop::collection::vec(".{0,12}", 0..6), number: i64) {
            let json = serde_json::json!({ "texts": texts, "number": number, "nested": [[], {}, [null, true]] }).to_string();
            let pretty = indent_json(&json);
            prop_assert!(serde_json::from_str::<serde::de::IgnoredAny>(&pretty).is_ok());
            let dense = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
            prop_assert_eq!(dense(&pretty), dense(&json));
        }
    }
}
