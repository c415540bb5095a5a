//! Code splitting into a few wasm chunks. wasm_split emits one file for each combination of chunks that share code, so one chunk
//! per page would mean dozens of requests. The chunks are `app` (router, layout and notification bell), `chat_notifications`,
//! `market_devices`, `arena` and `compare_status`, each for pages that are visited together; each split function is annotated
//! with its chunk.

use std::sync::{Arc, Mutex};

use leptos::prelude::*;

use super::text::dynamic_view;
use crate::lock::lock;

/// A slot in the page for a view that loads later. Empty on the server.
#[derive(Clone, Default)]
pub struct LazySlot {
    filled: RwSignal<bool>,
    /// Set when the view has loaded; taken when it is rendered.
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

/// Adds a preload link for the chunk loader, which the module imports before it runs.
pub fn preload_loader() {
    const NO_CHUNK: &str = "";
    leptos::prefetch_lazy_fn_on_server(NO_CHUNK);
}

/// Preloads the chunk `app` in the page's HTML, for pages without an island.
pub fn preload_app() {
    leptos::prefetch_lazy_fn_on_server("app");
}

/// `lazy_page!(ChatPage, chat_notifications, view)`: a page rendered by `view()`, in the wasm chunk `chat_notifications` that the
/// chat and the notifications share.
macro_rules! lazy_page {
    ($page:ident, $chunk:ident, $view:path) => {
        pub struct $page;

        impl leptos_router::LazyRoute for $page {
            fn data() -> Self {
                Self
            }

            async fn view(_page: Self) -> leptos::prelude::AnyView {
                $crate::ui::lazy::preload_app();
                leptos::prefetch_lazy_fn_on_server(stringify!($chunk));
                lazy_view().await
            }

            async fn preload() {
                fetch_chunk().await;
            }
        }

        #[leptos::wasm_split::wasm_split($chunk, wasm_split_path = leptos::wasm_split, preload(fetch_chunk))]
        fn lazy_view() -> leptos::prelude::AnyView {
            $view()
        }
    };
}

pub(crate) use lazy_page;
