//! [`Live`]: a part of the page that is there when its topic's state is.

use std::future::Future;
use std::pin::Pin;

use leptos::prelude::*;

use crate::topic::UseTopic;
use duplex_protocol::topic::Topic;

/// Shows its children when the state of `topic` is there. On the server it waits for the state, so the HTML holds it (the
/// route wants [`SsrMode::Async`](leptos_router::SsrMode::Async), so that it does without JavaScript too); while hydrating,
/// the state is there at once; after a navigation within the page, `fallback` stands until the state has come.
#[component]
pub fn Live<T: Topic>(
    topic: UseTopic<T>,
    #[prop(optional, into)] fallback: ViewFnOnce,
    children: Children,
) -> impl IntoView {
    when(Box::pin(async move { topic.loaded().await }), fallback, children)
}

/// One for all topics: a `Suspense` of its own for each would cost wasm.
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
