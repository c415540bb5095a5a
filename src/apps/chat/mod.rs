//! The chat application: rooms that anybody may create, and messages with replies and reactions.

pub mod model;
mod read_marks;
mod rich_text;
mod row_window;
#[cfg(feature = "ssr")]
pub mod server;
mod view;
pub mod wire;

use crate::ui::layout::{NavigationEntry, SkipLink};
use crate::ui::text::text_key;
use leptos::prelude::*;
use leptos_meta::Meta;
use leptos_router::hooks::use_params_map;
use leptos_router::{SsrMode, path};

use self::{
    view::{room::room, rooms::RoomList, visitor::VisitorState},
    wire::LOBBY,
};
use crate::ui::lazy::lazy_page;
use crate::ui::text::{dynamic_view, t};

lazy_page!(ChatPage, chat_notifications, page);

pub const APP: super::App = super::App {
    page: || super::lazy_page::<ChatPage>(path!("/chat/:room?"), SsrMode::Async),
    navigation: Some(NavigationEntry {
        path: "/chat",
        name: text_key!(app.chat),
    }),
    skip_link: Some(SkipLink {
        path_segment: "chat",
        target: "#message-field",
        name: text_key!(chat.skip),
    }),
    tool: None,
};

fn page() -> AnyView {
    let visitor = VisitorState::new();
    let params = use_params_map();
    let name = Memo::new(move |_| {
        params
            .with(|params| params.get("room"))
            .filter(|room| !room.is_empty())
            .unwrap_or_else(|| LOBBY.to_owned())
    });
    let current_room = dynamic_view(move || Some(room(visitor, name.get())));
    view! {
        <Meta name="description" content=t!(chat.description)/>
        <div class="chat">
            <RoomList visitor open=name/>
            {current_room}
        </div>
    }
    .into_any()
}
