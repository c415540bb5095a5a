//! The notifications application: programs and other applications send notices to visitors, and a bell on every page shows the
//! unread count. An item is a notice; a notification is what the browser's Notification API shows.

pub mod bell;
pub mod model;
#[cfg(feature = "ssr")]
pub mod server;
mod view;
pub mod wire;

use crate::ui::lazy::lazy_page;
use leptos::prelude::IntoAny as _;
use leptos_router::{SsrMode, path};

lazy_page!(NotificationsPage, chat_notifications, view::page::page);

pub const APP: super::App = super::App {
    page: || super::lazy_page::<NotificationsPage>(path!("/notifications"), SsrMode::Async),
    navigation: None,
    skip_link: None,
    tool: Some(|| bell::Bell().into_any()),
};
