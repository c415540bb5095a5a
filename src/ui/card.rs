//! Titled sections of a page.

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
    /// The element's id; the title labels the element for screen readers.
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

/// A card's content, built under the given reactive owner; `None` if that owner is disposed before the code has loaded.
pub type LazyContentFuture = Pin<Box<dyn Future<Output = Option<AnyView>>>>;

/// A card whose content loads once the card is visible.
#[component]
pub fn LazyCard(
    id: &'static str,
    title: TextKey,
    #[prop(optional)] class: &'static str,
    content: Arc<dyn Fn(WeakOwner) -> LazyContentFuture + Send + Sync>,
) -> impl IntoView {
    let card = NodeRef::<html::Div>::new();
    let slot = LazySlot::default();
    let view = slot.view();
    // Weak, because the owner holds this observer: a strong reference would be a cycle.
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
            <div class="lazy-content" node_ref=card>{view}</div>
        </Card>
    }
}
