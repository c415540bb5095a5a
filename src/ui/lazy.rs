//! Code that comes when it is needed, in few parts. What two parts share is a file of its own, and so is what three share: with
//! a part for each page a visit would ask for dozens of files. So the parts are `app` (router, frame and bell), `talk`,
//! `figures`, `arena` and `lab`, each for what is visited together, and a function says to which it belongs.

use std::sync::{Arc, Mutex};

use leptos::prelude::*;

use super::text::dynamic_view;
use crate::lock::lock;

/// A place in the page for a view that comes later. Empty on the server.
#[derive(Clone, Default)]
pub struct LazySlot {
    filled: RwSignal<bool>,
    /// Between its coming and its place in the document.
    view: Arc<Mutex<Option<AnyView>>>,
}

impl LazySlot {
    pub fn fill(&self, view: AnyView) {
        *lock(&self.view) = Some(view);
        self.filled.set(true);
    }

    pub fn view(&self) -> impl Fn() -> Option<AnyView> + Clone + Send + use<> {
        let (filled, view) = (self.filled, Arc::clone(&self.view));
        dynamic_view(move || {
            filled.track();
            lock(&view).take()
        })
    }
}

/// Has the page's HTML name what the module imports before it runs: the loader of parts, which comes with any of them.
pub fn preload_loader() {
    const NO_PART: &str = "";
    leptos::prefetch_lazy_fn_on_server(NO_PART);
}

/// Has the page's HTML name the part that a page without an early part cannot do without.
pub fn preload_app() {
    leptos::prefetch_lazy_fn_on_server("app");
}

/// `lazy_page!(ChatPage, talk, view)`: a page that comes with the part `talk`, as `view()` makes it.
macro_rules! lazy_page {
    ($page:ident, $part:ident, $view:path) => {
        pub struct $page;

        impl leptos_router::LazyRoute for $page {
            fn data() -> Self {
                Self
            }

            async fn view(_page: Self) -> leptos::prelude::AnyView {
                $crate::ui::lazy::preload_app();
                leptos::prefetch_lazy_fn_on_server(stringify!($part));
                lazy_view().await
            }

            async fn preload() {
                fetch_part().await;
            }
        }

        #[leptos::wasm_split::wasm_split($part, wasm_split_path = leptos::wasm_split, preload(fetch_part))]
        fn lazy_view() -> leptos::prelude::AnyView {
            $view()
        }
    };
}

pub(crate) use lazy_page;
