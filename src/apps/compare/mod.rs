//! The comparison application: compares a WebSocket, HTTP requests and other transports in the visitor's browser; the server counts
//! the bytes on the wire.

mod comparison;
mod findings;
mod measure;
pub mod model;
#[cfg(feature = "ssr")]
pub mod server;
mod shared_results;
mod table;
mod view;
pub mod wire;

use crate::ui::layout::NavigationEntry;
use crate::ui::text::text_key;
use leptos::prelude::*;
use leptos_meta::{Meta, Title};
use leptos_router::{SsrMode, path};

use self::comparison::Comparison;
use self::view::{
    export::ExportCard, findings::FindingsCard, results::ResultsCard, settings::SettingsCard, staleness::StalenessCard,
    transports::TransportsCard,
};
use crate::ui::lazy::lazy_page;
use crate::ui::text::{page_title, t};

lazy_page!(ComparePage, compare_status, page);

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
    let comparison = Comparison::start();
    view! {
        <Title text=page_title(t!(compare.title))/>
        <Meta name="description" content=t!(compare.description)/>
        <div class="page-header">
            <h1>{t!(compare.title)}</h1>
            <p class="lede">{t!(compare.lede)}</p>
            <noscript inner_html=t!(compare.no_script)></noscript>
        </div>
        <div class="compare stack">
            <SettingsCard comparison/>
            <ResultsCard comparison/>
            <FindingsCard comparison/>
            <StalenessCard comparison/>
            <ExportCard comparison/>
            <TransportsCard/>
        </div>
    }
    .into_any()
}
