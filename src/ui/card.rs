//! A titled part of a page.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use leptos::{html, prelude::*, reactive::owner::WeakOwner, task::spawn_local};

use super::{
    lazy::LazySlot,
    text::{TextKey, translate},
    visibility::on_visible,
};

#[component]
pub fn Card(
    /// The element's id, by which the title names the part for screen readers.
    id: &'static str,
    title: TextKey,
    #[prop(optional)] class: &'static str,
    children: Children,
) -> impl IntoView {
    let title_id = format!("{id}-title");
    view! {
        <section id=id class=format!("card {class}") aria-labelledby=title_id>
            <h2 id=format!("{id}-title")>{translate(title)}</h2>
            {children()}
        </section>
    }
}

/// What fills a card: made for the owner that it is given, unless that is gone when the code has come.
pub type LazyContent = Pin<Box<dyn Future<Output = Option<AnyView>>>>;

/// A card whose content comes when the card is seen.
#[component]
pub fn LazyCard(
    id: &'static str,
    title: TextKey,
    #[prop(optional)] class: &'static str,
    content: Arc<dyn Fn(WeakOwner) -> LazyContent + Send + Sync>,
) -> impl IntoView {
    let card = NodeRef::<html::Div>::new();
    let slot = LazySlot::default();
    let view = slot.view();
    // Not the owner itself: it has what waits here, and would have itself.
    let owner = Owner::current().map(|owner| owner.downgrade());
    on_visible(card, move || {
        let Some(owner) = owner.clone() else { return };
        let (slot, content) = (slot.clone(), content(owner));
        spawn_local(async move {
            if let Some(view) = content.await {
                slot.fill(view);
            }
        });
    });
    view! {
        <Card id title class>
            <div class="later" node_ref=card>{view}</div>
        </Card>
    }
}
