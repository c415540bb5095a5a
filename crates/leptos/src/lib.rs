//! Leptos hooks for topics and WebSockets: server rendering, hydration, and the live connection in the browser.
//!
//! A **topic** is an event log on the server; folding its events yields the state. [`use_topic`](topic::use_topic()) provides the
//! state to a component: rendered on the server, kept current in the browser over a WebSocket, server-sent events or long polling.
//! No event is lost or applied twice.
//!
//! ```
//! use duplex_leptos::topic::{Live, use_topic};
//! use duplex_protocol::cursor::Seq;
//! use duplex_protocol::topic::Topic;
//! use leptos::prelude::*;
//!
//! // model.rs: the same on the server and in the browser.
//! pub struct Tally;
//!
//! impl Topic for Tally {
//!     const KIND: &'static str = "tally";
//!     type Command = u32; // the amount to add
//!     type Event = u32; // the amount that was added
//!     type State = u64;
//!
//!     fn apply(total: &mut u64, _seq: Seq, added: &u32) {
//!         *total = total.saturating_add(u64::from(*added));
//!     }
//! }
//!
//! // mod.rs: the page.
//! #[component]
//! pub fn TallyPage() -> impl IntoView {
//!     let tally = use_topic::<Tally>("one");
//!     view! {
//!         <Live topic=tally>
//!             <p>{move || tally.state.get()}</p>
//!             <button on:click=move |_| drop(tally.send(1))>"+1"</button>
//!         </Live>
//!     }
//! }
//!
//! // The root component: all topics of the tab share one session.
//! #[component]
//! pub fn App() -> impl IntoView {
//!     duplex_leptos::provide_session();
//!     view! { <TallyPage/> }
//! }
//! ```
//!
//! | module | content |
//! | --- | --- |
//! | [`topic`] | [`use_topic`](topic::use_topic()), [`Live`](topic::Live), commands and history |
//! | [`socket`] | [`use_socket`](socket::use_socket()): one WebSocket owned by one component |
//! | [`status`] | the status of the session and of topics |
//! | [`simulation`] | connections to the server's simulations, which have no log |
//! | [`trace`] | the record of the session, for an inspector |
//! | [`reconnect`] | backoff with jitter |
//! | [`http`] | `GET` with a JSON response |
//!
//! # Features
//!
//! Everything compiles on every target. Connections are opened only in a browser, from effects, event handlers and local tasks.
//! `hydrate` and `ssr` are Leptos's features of the same names; the front end enables the first, the server the second.

pub mod http;
pub mod reconnect;
mod runtime;
mod session;
pub mod simulation;
pub mod socket;
pub mod status;
pub mod topic;
pub mod trace;

pub use self::runtime::tab::provide_session;

/// The session's state machine, for tests that simulate the browser. Not part of the stable interface.
#[doc(hidden)]
pub mod testing {
    pub use crate::session::{CommandProgress, Effect, EncodedCommand, Input, Session, TopicUpdate, Topics};
}
