//! The status of the tab's session and of its topics.

use leptos::prelude::*;

use crate::runtime::page_events::RETRY_EVENT;
use duplex_protocol::session::Denial;

/// The transport of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A WebSocket.
    WebSocket,
    /// Server-sent events, and a `POST` for each command.
    Sse,
    /// Long polling, and a `POST` for each command.
    Poll,
}

/// Why a session stopped and does not reconnect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Incompatible protocol versions: the page must be reloaded.
    Reload,
    /// The server rejected the session, or closed it with this final code.
    Closed(u16),
}

/// The phase of a session.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Phase {
    /// No topic is subscribed, and no command is queued.
    #[default]
    Idle,
    /// A connection is being opened.
    Connecting,
    /// Connected.
    Live,
    /// Disconnected; waiting to reconnect.
    Waiting {
        /// When the next attempt is made, in milliseconds of the page's clock (`performance.now()`).
        until: f64,
    },
    /// The browser reports no network. The session reconnects as soon as there is one.
    Offline,
    /// The session does not reconnect.
    Stopped(StopReason),
}

/// The status of the tab's session.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SessionStatus {
    /// The phase.
    pub phase: Phase,
    /// The current transport, or the one tried last.
    pub transport: Option<Transport>,
    /// The number of commands without an answer.
    pub queued: usize,
    /// The last measured round trip in milliseconds.
    pub round_trip: Option<f64>,
    /// Whether the server runs another build; the page should be reloaded when convenient.
    pub newer_build: bool,
}

/// The status of a topic in this tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicStatus {
    /// The state is not loaded yet.
    Loading,
    /// The state is current.
    Live,
    /// The state may be stale; newer events have been requested. Also the status during server rendering.
    Resuming,
    /// The state may be stale. The session is disconnected and will reconnect.
    Waiting,
    /// The visitor may not read the topic.
    Denied(Denial),
    /// The page cannot decode the server's data and has to be reloaded.
    Outdated,
}

/// Reconnects now, even during a delay that the server requested. Call it from an event handler.
///
/// # On the server
///
/// Must not be called: it dispatches an event on the window.
pub fn retry_now() {
    if let Ok(event) = web_sys::Event::new(RETRY_EVENT) {
        let _ = window().dispatch_event(&event);
    }
}

/// The session's status; always [`Phase::Idle`] without [`provide_session`](crate::provide_session).
///
/// # On the server
///
/// Always [`Phase::Idle`].
#[must_use]
pub fn use_session_status() -> Signal<SessionStatus> {
    use_context::<ProvidedStatus>().map_or_else(|| Signal::stored(SessionStatus::default()), |provided| provided.0)
}

/// In the context of the whole page.
#[derive(Clone, Copy)]
pub(crate) struct ProvidedStatus(pub Signal<SessionStatus>);
