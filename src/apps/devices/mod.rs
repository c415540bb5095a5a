//! The devices application: readings, health, alarms, and orders to devices.

pub mod history;
pub mod model;
mod pending_orders;
mod report;
#[cfg(feature = "ssr")]
pub mod server;
mod view;
pub mod wire;

use crate::ui::layout::NavigationEntry;
use crate::ui::text::text_key;
use leptos::prelude::*;
use leptos_meta::Meta;
use leptos_router::hooks::use_params_map;
use leptos_router::{SsrMode, path};

use self::view::{clock::Clock, detail::detail, overview::overview};
use crate::ui::lazy::lazy_page;
use crate::ui::text::{dynamic_view, t};

lazy_page!(DevicesPage, market_devices, page);

pub const APP: super::App = super::App {
    page: || super::lazy_page::<DevicesPage>(path!("/devices/:id?"), SsrMode::Async),
    navigation: Some(NavigationEntry {
        path: "/devices",
        name: text_key!(app.devices),
    }),
    skip_link: None,
    tool: None,
};

fn page() -> AnyView {
    let clock = Clock::start();
    let params = use_params_map();
    let id = Memo::new(move |_| params.with(|params| params.get("id")).filter(|id| !id.is_empty()));
    let content = dynamic_view(move || {
        Some(match id.get() {
            None => overview(clock),
            Some(id) => detail(clock, id),
        })
    });
    view! {
        <Meta name="description" content=t!(devices.description)/>
        <div class="devices">{content}</div>
    }
    .into_any()
}
