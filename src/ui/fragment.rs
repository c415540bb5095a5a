//! Elements whose HTML the server writes without signals: [`server_html`], and [`fragment`], which caches it until its input
//! changes. Rendering a reactive row costs about 100 µs, copying its HTML less than 1 µs.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::lock::lock;
use leptos::prelude::*;
use leptos::tachys::html::InertElement;

/// The server's cache of fragment HTML by key, provided as context; nothing is cached without it.
#[derive(Clone)]
pub struct FragmentCache {
    cached: Arc<Mutex<HashMap<String, CachedFragment>>>,
    /// Maximum number of fragments; inserting one more clears the cache.
    capacity: usize,
}

struct CachedFragment {
    input: Box<dyn Any + Send + Sync>,
    html: Arc<str>,
}

impl FragmentCache {
    pub fn new(capacity: usize) -> Self {
        Self {
            cached: Arc::default(),
            capacity,
        }
    }

    fn html<T: PartialEq + 'static>(&self, key: &str, input: &T) -> Option<Arc<str>> {
        let cached = lock(&self.cached);
        let same = cached
            .get(key)
            .filter(|cached| cached.input.downcast_ref() == Some(input))?;
        Some(Arc::clone(&same.html))
    }

    fn insert(&self, key: String, input: impl Any + Send + Sync, html: &str) {
        let mut cached = lock(&self.cached);
        if cached.len() >= self.capacity && !cached.contains_key(&key) {
            cached.clear();
        }
        let (input, html) = (Box::new(input), html.into());
        cached.insert(key, CachedFragment { input, html });
    }
}

/// Renders one element that depends only on `input` and on the visitor's language (part of `key`). The browser calls `render`.
/// The server uses the cached HTML for `key` if its input is equal, and otherwise calls `html`, whose output must be
/// byte-identical to `render`'s.
pub fn fragment<T: PartialEq + Send + Sync + 'static>(
    key: impl FnOnce() -> String,
    input: impl FnOnce() -> T,
    html: impl FnOnce(&T) -> String,
    render: impl FnOnce() -> AnyView,
) -> AnyView {
    // A compile-time condition, so that the browser's code does not contain `html`.
    if cfg!(target_family = "wasm") {
        return render();
    }
    let Some(fragments) = use_context::<FragmentCache>() else {
        return render();
    };
    let (key, input) = (key(), input());
    let html = fragments.html(&key, &input).map_or_else(
        || {
            let html = html(&input);
            fragments.insert(key, input, &html);
            html
        },
        |html| html.to_string(),
    );
    InertElement::new(html).into_any()
}

/// An element whose HTML the server writes without signals, with `html`, whose output must be byte-identical to `render`'s. The
/// browser calls `render`.
pub fn server_html(html: impl FnOnce() -> String, render: impl FnOnce() -> AnyView) -> AnyView {
    // A compile-time condition, so that the browser's code does not contain `html`.
    if cfg!(target_family = "wasm") || !is_server() {
        return render();
    }
    InertElement::new(html()).into_any()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_never_exceeds_its_capacity() {
        let fragments = FragmentCache::new(2);
        for key in 0..5u32 {
            fragments.insert(key.to_string(), key, "<p></p>");
            assert!(fragments.cached.lock().unwrap().len() <= 2);
        }
        assert_eq!(fragments.html("4", &4u32).as_deref(), Some("<p></p>"));
        assert_eq!(fragments.html("4", &5u32), None);
        assert_eq!(fragments.html("0", &0u32), None);
    }
}
