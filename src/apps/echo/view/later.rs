//! What comes when it is seen: it needs more code than the rest of the page.

use std::sync::Arc;

use leptos::{prelude::*, reactive::owner::WeakOwner, wasm_split::wasm_split};

use super::{super::session::Session, handshake::HandshakeFacts, journal::JournalTable, round_trip::RoundTrip};
use crate::ui::card::LazyContent;

#[derive(Clone, Copy)]
pub enum Later {
    RoundTrip,
    Journal,
    Handshake,
}

impl Later {
    pub fn of(self, session: Session) -> Arc<dyn Fn(WeakOwner) -> LazyContent + Send + Sync> {
        Arc::new(move |owner| Box::pin(view(owner, session, self)))
    }
}

#[wasm_split(app, wasm_split_path = leptos::wasm_split)]
fn view(owner: WeakOwner, session: Session, which: Later) -> Option<AnyView> {
    let owner = owner.upgrade()?;
    Some(owner.with(|| match which {
        Later::RoundTrip => view! { <RoundTrip session/> }.into_any(),
        Later::Journal => view! { <JournalTable session/> }.into_any(),
        Later::Handshake => view! { <HandshakeFacts session/> }.into_any(),
    }))
}
