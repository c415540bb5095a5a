//! The operator's page: how the node is now, and how it was in the last ten minutes.

mod model;
#[cfg(feature = "ssr")]
pub mod server;
mod view;
pub mod wire;

use crate::ui::frame::NavigationEntry;
use crate::ui::text::text_key;
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::{SsrMode, path};

use self::view::{board, head, sign_in};
use self::wire::{NODE, NodeStatus};
use crate::ui::lazy::lazy_page;
use crate::ui::text::{dynamic_view, page_title, t};
use duplex_leptos::topic::Live;
use duplex_leptos::topic::{TopicStatus, use_topic};

lazy_page!(StatusPage, lab, page);

pub const APP: super::App = super::App {
    page: || super::lazy_page::<StatusPage>(path!("/status"), SsrMode::Async),
    navigation: Some(NavigationEntry {
        path: "/status",
        name: text_key!(app.status),
    }),
    skip_link: None,
    tool: None,
};

fn page() -> AnyView {
    let topic = use_topic::<NodeStatus>(NODE);
    // While it is asked again the form stays: somebody may be typing.
    let closed = Memo::new(move |was: Option<&bool>| match topic.status.get() {
        TopicStatus::Denied(_) => true,
        TopicStatus::Live => false,
        _ => was.copied().unwrap_or_default(),
    });
    let shown = dynamic_view(move || {
        Some(if closed.get() {
            sign_in::sign_in()
        } else {
            board::board(topic.state, topic.status)
        })
    });
    view! {
        <Title text=page_title(t!(status.title))/>
        <Meta name="description" content=t!(status.description)/>
        {head::title()}
        <Live topic fallback=head::loading>{shown}</Live>
    }
    .into_any()
}
