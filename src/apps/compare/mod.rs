//! The comparison: the visitor's own browser measures a WebSocket, plain requests and what lies between them, and the server counts
//! every byte that its sockets read and wrote meanwhile.

mod bench;
mod findings;
mod measure;
pub mod model;
#[cfg(feature = "ssr")]
pub mod server;
mod share;
mod table;
mod view;
pub mod wire;

use crate::ui::frame::NavigationEntry;
use crate::ui::text::text_key;
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::{SsrMode, path};

use self::bench::Bench;
use self::view::{
    copy::CopyCard, findings::FindingsCard, results::ResultsCard, settings::SettingsCard, stale::StaleCard,
    ways::WaysCard,
};
use crate::ui::lazy::lazy_page;
use crate::ui::text::{page_title, t};

lazy_page!(ComparePage, lab, page);

pub const APP: super::App = super::App {
    page: || super::lazy_page::<ComparePage>(path!("/compare"), SsrMode::OutOfOrder),
    navigation: Some(NavigationEntry {
        path: "/compare",
        name: text_key!(compare.nav),
    }),
    skip_link: None,
    tool: None,
};

fn page() -> AnyView {
    let bench = Bench::start();
    view! {
        <Title text=page_title(t!(compare.title))/>
        <Meta name="description" content=t!(compare.description)/>
        <div class="page-head">
            <h1>{t!(compare.title)}</h1>
            <p class="lede">{t!(compare.lede)}</p>
            <noscript inner_html=t!(compare.no_script)></noscript>
        </div>
        <div class="compare stack">
            <SettingsCard bench/>
            <ResultsCard bench/>
            <FindingsCard bench/>
            <StaleCard bench/>
            <CopyCard bench/>
            <WaysCard/>
        </div>
    }
    .into_any()
}
