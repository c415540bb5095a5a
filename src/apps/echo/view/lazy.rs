//! The cards that load when they become visible, because they need more code than the rest of the page.

use std::sync::Arc;

use leptos::{prelude::*, reactive::owner::WeakOwner, wasm_split::wasm_split};

use super::{super::state::EchoState, handshake::HandshakeCard, journal::JournalTable, round_trip::RoundTrip};
use crate::ui::card::LazyContentFuture;

#[derive(Clone, Copy)]
pub enum LazyCardKind {
    RoundTrip,
    Journal,
    Handshake,
}

impl LazyCardKind {
    pub fn content(self, echo: EchoState) -> Arc<dyn Fn(WeakOwner) -> LazyContentFuture + Send + Sync> {
        Arc::new(move |owner| Box::pin(load(owner, echo, self)))
    }
}

#[wasm_split(app, wasm_split_path = leptos::wasm_split)]
fn load(owner: WeakOwner, echo: EchoState, part: LazyCardKind) -> Option<AnyView> {
    let owner = owner.upgrade()?;
    Some(owner.with(|| match part {
        LazyCardKind::RoundTrip => view! { <RoundTrip echo/> }.into_any(),
        LazyCardKind::Journal => view! { <JournalTable echo/> }.into_any(),
        LazyCardKind::Handshake => view! { <HandshakeCard echo/> }.into_any(),
    }))
}
