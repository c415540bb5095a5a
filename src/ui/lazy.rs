//! Code that comes when it is needed, in few parts. What two parts share is a file of its own, and so is what three share: with
//! a part for each page a visit would ask for dozens of files. So the parts are `live` (on every page, after it), `talk`,
//! `figures`, `arena` and `lab`, each for what is visited together, and a function says to which it belongs.

/// `lazy_page!(ChatPage, talk, view)`: a page that comes with the part `talk`, as `view()` makes it.
macro_rules! lazy_page {
    ($page:ident, $part:ident, $view:path) => {
        pub struct $page;

        impl leptos_router::LazyRoute for $page {
            fn data() -> Self {
                Self
            }

            async fn view(_page: Self) -> leptos::prelude::AnyView {
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
