//! The cards that load when they become visible, because they need more code than the rest of the page.

use std::sync::Arc;

use leptos::{prelude::*, reactive::owner::WeakOwner, wasm_split::wasm_split};

use super::{super::state::EchoState, handshake::HandshakeFacts, journal::JournalTable, round_trip::RoundTrip};
use crate::ui::card::LazyContentFuture;

#[derive(Clone, Copy)]
pub enum LazyPart {
    RoundTrip,
    Journal,
    Handshake,
}

impl LazyPart {
    pub fn content(self, echo: EchoState) -> Arc<dyn Fn(WeakOwner) -> LazyContentFuture + Send + Sync> {
        Arc::new(move |owner| Box::pin(load(owner, echo, self)))
    }
}

#[wasm_split(app, wasm_split_path = leptos::wasm_split)]
fn load(owner: WeakOwner, echo: EchoState, part: LazyPart) -> Option<AnyView> {
    let owner = owner.upgrade()?;
    Some(owner.with(|| match part {
        LazyPart::RoundTrip => view! { <RoundTrip echo/> }.into_any(),
        LazyPart::Journal => view! { <JournalTable echo/> }.into_any(),
        LazyPart::Handshake => view! { <HandshakeFacts echo/> }.into_any(),
    }))
}
