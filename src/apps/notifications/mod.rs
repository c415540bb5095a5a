//! Notifications: what programs and other applications tell people who may not be looking, and the bell that says so on
//! every page.

pub mod bell;
pub mod model;
#[cfg(feature = "ssr")]
pub mod server;
mod view;
pub mod wire;

use crate::ui::lazy::lazy_page;

lazy_page!(NotificationsPage, talk, view::page::page);
