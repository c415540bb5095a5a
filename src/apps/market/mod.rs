//! The market application: live quotes, candles, trades and price alerts.

mod drawing;
pub mod model;
#[cfg(feature = "ssr")]
pub mod server;
mod sort;
mod view;
pub mod wire;

use crate::ui::layout::NavigationEntry;
use crate::ui::text::text_key;
use leptos::prelude::*;
use leptos_meta::Meta;
use leptos_router::hooks::use_params_map;
use leptos_router::{SsrMode, path};

use self::view::{detail::detail, overview::overview};
use crate::ui::lazy::lazy_page;
use crate::ui::text::{dynamic_view, t};

lazy_page!(MarketPage, market_devices, page);

pub const APP: super::App = super::App {
    page: || super::lazy_page::<MarketPage>(path!("/market/:symbol?"), SsrMode::Async),
    navigation: Some(NavigationEntry {
        path: "/market",
        name: text_key!(app.market),
    }),
    skip_link: None,
    tool: None,
};

fn page() -> AnyView {
    let params = use_params_map();
    let symbol = Memo::new(move |_| {
        let symbol = params.with(|params| params.get("symbol"));
        symbol.filter(|symbol| !symbol.is_empty())
    });
    let shown = dynamic_view(move || {
        Some(match symbol.get() {
            Some(symbol) => detail(symbol),
            None => overview(),
        })
    });
    view! {
        <Meta name="description" content=t!(market.description)/>
        <div class="market">{shown}</div>
    }
    .into_any()
}
