//! [`Live`]: a component that renders its children once its topic's state is loaded.

use std::future::Future;
use std::pin::Pin;

use leptos::prelude::*;

use crate::topic::UseTopic;
use duplex_protocol::topic::Topic;

/// Renders its children once the state of `topic` is loaded, and `fallback` until then.
///
/// During hydration the state is available at once. After client-side navigation, `fallback` is rendered until the session has received
/// the state.
///
/// # On the server
///
/// Waits for the state, so the HTML contains it. With
/// [`SsrMode::Async`](https://docs.rs/leptos_router/latest/leptos_router/enum.SsrMode.html#variant.Async) for the route, a page
/// without JavaScript shows it too.
#[component]
pub fn Live<T: Topic>(
    /// The topic.
    topic: UseTopic<T>,
    /// Rendered until the state is loaded; nothing by default.
    #[prop(optional, into)]
    fallback: ViewFnOnce,
    /// Rendered once the state is loaded.
    children: Children,
) -> impl IntoView {
    suspend_until(Box::pin(async move { topic.loaded().await }), fallback, children)
}

/// Not generic, so that all topics share one `Suspense` instantiation, which keeps the wasm module small.
fn suspend_until(
    loaded: Pin<Box<dyn Future<Output = ()> + Send>>,
    fallback: ViewFnOnce,
    children: Children,
) -> impl IntoView {
    view! {
        <Suspense fallback>
            {Suspend::new(async move {
                loaded.await;
                children()
            })}
        </Suspense>
    }
}
