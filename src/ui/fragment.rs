//! [`fragment`]: a part of a page whose HTML the server keeps for as long as what it shows stays the same. Rendering a
//! reactive row costs some 100 µs of CPU, copying its HTML less than one.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

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
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let same = kept.get(key).filter(|kept| kept.shows.downcast_ref() == Some(shows))?;
        Some(Arc::clone(&same.html))
    }

    fn keep(&self, key: String, shows: impl Any + Send + Sync, html: &str) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= self.most && !kept.contains_key(&key) {
            kept.clear();
        }
        let (shows, html) = (Box::new(shows), html.into());
        kept.insert(key, Kept { shows, html });
    }
}

/// Renders one element that depends on `shows`, on the visitor's language (part of `key`) and on nothing else. On the server
/// `render` is called when nothing is kept under `key` or it shows something else. In the browser it is called every time.
pub fn fragment<T: PartialEq + Send + Sync + 'static>(
    key: impl FnOnce() -> String,
    shows: impl FnOnce() -> T,
    render: impl FnOnce() -> AnyView,
) -> AnyView {
    let Some(fragments) = use_context::<Fragments>() else {
        return render();
    };
    let (key, shows) = (key(), shows());
    let html = fragments.html(&key, &shows).map_or_else(
        || {
            let html = render().to_html();
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

    #[cfg(feature = "ssr")]
    mod rendering {
        use std::cell::Cell;

        use super::*;

        /// The HTML of a list with one row that shows `value`.
        fn list(rendered: &Cell<u32>, key: &str, value: u32) -> String {
            let row = fragment(
                || key.to_owned(),
                || value,
                || {
                    rendered.set(rendered.get() + 1);
                    let text = Signal::derive(move || format!("<{value}>"));
                    view! { <li data-value=value>"is " {text}</li> }.into_any()
                },
            );
            view! { <ul>{row}"end"</ul> }.to_html()
        }

        #[test]
        fn a_fragment_is_the_html_of_its_element_rendered_once() {
            Owner::new().with(|| {
                let rendered = Cell::new(0);
                let plain = list(&rendered, "row/1", 7);
                provide_context(Fragments::new(2));
                rendered.set(0);
                assert!(plain.contains("&lt;7&gt;"), "{plain}");
                for _ in 0..3 {
                    assert_eq!(list(&rendered, "row/1", 7), plain);
                }
                assert_eq!(rendered.get(), 1);
                let other = list(&rendered, "row/1", 8);
                assert!(other.contains("&lt;8&gt;") && !other.contains('7'), "{other}");
                assert_eq!(rendered.get(), 2);
            });
        }
    }

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
