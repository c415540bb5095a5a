//! Unicode properties and segmentation by the browser's `RegExp` and `Intl.Segmenter`.

use js_sys::{Array, Function, JsString, Reflect, RegExp};
use wasm_bindgen::{JsCast as _, JsValue};

thread_local! {
    static MARK: RegExp = RegExp::new("^\\p{M}$", "u");
}

pub fn is_mark(c: char) -> bool {
    // Ranges of common characters without marks, to avoid the regular expression.
    let plain = matches!(c, '\u{0}'..='\u{2ff}' | '\u{1100}'..='\u{11ff}' | '\u{3041}'..='\u{3096}' | '\u{30a0}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}');
    !plain && MARK.with(|mark| mark.test(c.encode_utf8(&mut [0; 4])))
}

/// The byte range of the grapheme cluster at this offset.
pub fn cluster_at(text: &str, at: usize) -> (usize, usize) {
    let units = |text: &str| text.encode_utf16().count();
    let one = text[at..].chars().next().map_or(0, char::len_utf8);
    let Ok((start, length)) = segment(text, units(&text[..at])) else {
        // The browser lacks `Intl.Segmenter`.
        return (at, at + one);
    };
    let byte = |unit: usize| {
        let mut seen = 0;
        let mut chars = text.char_indices();
        let found = chars.find(|(_, c)| {
            let here = seen;
            seen += c.len_utf16();
            here >= unit
        });
        found.map_or(text.len(), |(byte, _)| byte)
    };
    (byte(start), byte(start + length))
}

/// The start and length of the grapheme cluster at this offset, in UTF-16 units.
fn segment(text: &str, at: usize) -> Result<(usize, usize), JsValue> {
    let get = |of: &JsValue, name: &str| Reflect::get(of, &name.into());
    let class: Function = get(&get(&js_sys::global(), "Intl")?, "Segmenter")?.dyn_into()?;
    let segmenter = Reflect::construct(&class, &Array::new())?;
    let split: Function = get(&segmenter, "segment")?.dyn_into()?;
    let segments = split.call1(&segmenter, &text.into())?;
    let containing: Function = get(&segments, "containing")?.dyn_into()?;
    let found = containing.call1(&segments, &(at as f64).into())?;
    let start = get(&found, "index")?.as_f64().unwrap_or_default();
    let one: JsString = get(&found, "segment")?.dyn_into()?;
    Ok((start as usize, one.length() as usize))
}
