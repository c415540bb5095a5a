//! The status application: the operator's dashboard of the node's metrics, current and over the last ten minutes.

mod model;
#[cfg(feature = "ssr")]
pub mod server;
mod view;
pub mod wire;

use crate::ui::layout::NavigationEntry;
use crate::ui::text::text_key;
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::{SsrMode, path};

use self::view::{dashboard, head, sign_in};
use self::wire::{NODE, NodeStatus};
use crate::ui::lazy::lazy_page;
use crate::ui::text::{dynamic_view, page_title, t};
use duplex_leptos::topic::Live;
use duplex_leptos::topic::{TopicStatus, use_topic};

lazy_page!(StatusPage, compare_status, page);

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
    // Keep the sign-in form mounted while resubscribing, so that its input is not lost.
    let is_denied = Memo::new(move |previous: Option<&bool>| match topic.status.get() {
        TopicStatus::Denied(_) => true,
        TopicStatus::Live => false,
        _ => previous.copied().unwrap_or_default(),
    });
    let content = dynamic_view(move || {
        Some(if is_denied.get() {
            sign_in::sign_in()
        } else {
            dashboard::dashboard(topic.state, topic.status)
        })
    });
    view! {
        <Title text=page_title(t!(status.title))/>
        <Meta name="description" content=t!(status.description)/>
        {head::title()}
        <Live topic fallback=head::loading>{content}</Live>
    }
    .into_any()
}
