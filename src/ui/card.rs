//! A titled part of a page.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use leptos::{html, prelude::*, reactive::owner::WeakOwner, task::spawn_local};

use super::{
    lazy::Place,
    sight::when_seen,
    text::{TextKey, translate},
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
pub type Filling = Pin<Box<dyn Future<Output = Option<AnyView>>>>;

/// A card whose content comes when the card is seen.
#[component]
pub fn LaterCard(
    id: &'static str,
    title: TextKey,
    #[prop(optional)] class: &'static str,
    filling: Arc<dyn Fn(WeakOwner) -> Filling + Send + Sync>,
) -> impl IntoView {
    let card = NodeRef::<html::Div>::new();
    let place = Place::default();
    let content = place.show();
    // Not the owner itself: it has what waits here, and would have itself.
    let owner = Owner::current().map(|owner| owner.downgrade());
    when_seen(card, move || {
        let Some(owner) = owner.clone() else { return };
        let (place, filling) = (place.clone(), filling(owner));
        spawn_local(async move {
            if let Some(view) = filling.await {
                place.fill(view);
            }
        });
    });
    view! {
        <Card id title class>
            <div class="later" node_ref=card>{content}</div>
        </Card>
    }
}
