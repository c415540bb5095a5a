//! [`Live`]: a part of a page that is rendered when its topic's state is loaded.

use std::future::Future;
use std::pin::Pin;

use leptos::prelude::*;

use crate::topic::UseTopic;
use duplex_protocol::topic::Topic;

/// Shows its children when the state of `topic` is loaded, and `fallback` until then.
///
/// While hydrating, the state is there at once. After a navigation within the page, `fallback` is shown until the session has
/// brought the state.
///
/// # On the server
///
/// It waits for the state, so the HTML contains it. With
/// [`SsrMode::Async`](https://docs.rs/leptos_router/latest/leptos_router/enum.SsrMode.html#variant.Async) for the route, a page
/// without JavaScript shows it too.
#[component]
pub fn Live<T: Topic>(
    /// The topic whose state is waited for.
    topic: UseTopic<T>,
    /// Shown until then; nothing by default.
    #[prop(optional, into)]
    fallback: ViewFnOnce,
    /// Shown from then on.
    children: Children,
) -> impl IntoView {
    when(Box::pin(async move { topic.loaded().await }), fallback, children)
}

/// Not generic: one `Suspense` for all topics makes the wasm module smaller.
fn when(loaded: Pin<Box<dyn Future<Output = ()> + Send>>, fallback: ViewFnOnce, children: Children) -> impl IntoView {
    view! {
        <Suspense fallback>
            {Suspend::new(async move {
                loaded.await;
                children()
            })}
        </Suspense>
    }
}
