//! Cached HTML fragments of pages.

use std::cell::Cell;

use duplex::ui::fragment::{FragmentCache, fragment};
use leptos::prelude::*;

/// The HTML of a list with one row that shows `value`; `renders` counts the renders of the row.
fn list(renders: &Cell<u32>, key: &str, value: u32) -> String {
    let row = fragment(
        || key.to_owned(),
        || value,
        |value| {
            renders.set(renders.get() + 1);
            format!("<li data-value=\"{value}\">is <!>&lt;{value}&gt;<!><!></li>")
        },
        || {
            let text = Signal::derive(move || format!("<{value}>"));
            view! { <li data-value=value>"is " {text}</li> }.into_any()
        },
    );
    view! { <ul>{row}"end"</ul> }.to_html()
}

#[test]
fn a_fragment_renders_once_and_matches_its_view() {
    Owner::new().with(|| {
        let renders = Cell::new(0);
        let uncached = list(&renders, "row/1", 7);
        provide_context(FragmentCache::new(2));
        renders.set(0);
        assert!(uncached.contains("&lt;7&gt;"), "{uncached}");
        for _ in 0..3 {
            assert_eq!(list(&renders, "row/1", 7), uncached);
        }
        assert_eq!(renders.get(), 1);
        let other = list(&renders, "row/1", 8);
        assert!(other.contains("&lt;8&gt;") && !other.contains('7'), "{other}");
        assert_eq!(renders.get(), 2);
    });
}
