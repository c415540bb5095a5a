//! [`fragment`]: an element whose HTML the server writes without signals and keeps for as long as what it shows stays the same.
//! Rendering a reactive row costs some 100 µs of CPU, copying its HTML less than one.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::lock::lock;
use leptos::prelude::*;
use leptos::tachys::html::InertElement;

/// The HTML of the fragments of all pages, by key. In the context of a rendering on the server; without it nothing is kept.
#[derive(Clone)]
pub struct Fragments {
    kept: Arc<Mutex<HashMap<String, Kept>>>,
    /// How many fragments are kept. One more empties the store.
    most: usize,
}

struct Kept {
    shows: Box<dyn Any + Send + Sync>,
    html: Arc<str>,
}

impl Fragments {
    pub fn new(most: usize) -> Self {
        Self {
            kept: Arc::default(),
            most,
        }
    }

    fn html<T: PartialEq + 'static>(&self, key: &str, shows: &T) -> Option<Arc<str>> {
        let kept = lock(&self.kept);
        let same = kept.get(key).filter(|kept| kept.shows.downcast_ref() == Some(shows))?;
        Some(Arc::clone(&same.html))
    }

    fn keep(&self, key: String, shows: impl Any + Send + Sync, html: &str) {
        let mut kept = lock(&self.kept);
        if kept.len() >= self.most && !kept.contains_key(&key) {
            kept.clear();
        }
        let (shows, html) = (Box::new(shows), html.into());
        kept.insert(key, Kept { shows, html });
    }
}

/// Renders one element that depends on `shows`, on the visitor's language (part of `key`) and on nothing else. In the browser
/// that is `render`. On the server it is `html`, which gives the same bytes as `render` would and is called when nothing is kept
/// under `key` or it shows something else.
pub fn fragment<T: PartialEq + Send + Sync + 'static>(
    key: impl FnOnce() -> String,
    shows: impl FnOnce() -> T,
    html: impl FnOnce(&T) -> String,
    render: impl FnOnce() -> AnyView,
) -> AnyView {
    // Known when it is compiled, so that `html` is no part of the browser's code.
    if cfg!(target_family = "wasm") {
        return render();
    }
    let Some(fragments) = use_context::<Fragments>() else {
        return render();
    };
    let (key, shows) = (key(), shows());
    let html = fragments.html(&key, &shows).map_or_else(
        || {
            let html = html(&shows);
            fragments.keep(key, shows, &html);
            html
        },
        |html| html.to_string(),
    );
    InertElement::new(html).into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_fragments_are_kept_than_allowed() {
        let fragments = Fragments::new(2);
        for key in 0..5u32 {
            fragments.keep(key.to_string(), key, "<p></p>");
            assert!(fragments.kept.lock().unwrap().len() <= 2);
        }
        assert_eq!(fragments.html("4", &4u32).as_deref(), Some("<p></p>"));
        assert_eq!(fragments.html("4", &5u32), None);
        assert_eq!(fragments.html("0", &0u32), None);
    }
}
