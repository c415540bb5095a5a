//! A titled part of a page.

use leptos::prelude::*;

use super::words::{Words, spoken};

#[component]
pub fn Card(
    /// The element's id, by which the title names the part for screen readers.
    id: &'static str,
    title: Words,
    #[prop(optional)] class: &'static str,
    children: Children,
) -> impl IntoView {
    let title_id = format!("{id}-title");
    view! {
        <section id=id class=format!("card {class}") aria-labelledby=title_id>
            <h2 id=format!("{id}-title")>{spoken(title)}</h2>
            {children()}
        </section>
    }
}
