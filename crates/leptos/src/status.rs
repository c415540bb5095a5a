//! The status of the tab's session and of its topics, as plain values and one signal.

use leptos::prelude::*;

use crate::runtime::page_events::RETRY;
use duplex_protocol::session::Denied;

/// What carries a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A WebSocket.
    WebSocket,
    /// Server-sent events, and a `POST` for each command.
    Sse,
    /// Long polling, and a `POST` for each command.
    Poll,
}

/// Why a session does not come back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// The page and the server use different protocols: loaded again, the page works.
    Reload,
    /// The server refused the session, or closed it for good with this code.
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
    /// The server answers.
    Live,
    /// The connection was lost.
    Waiting {
        /// When the next attempt is made, in milliseconds of the page's clock (`performance.now()`).
        until: f64,
    },
    /// The browser reports no network. The session goes on as soon as there is one.
    Offline,
    /// The session does not come back by itself.
    Stopped(StopReason),
}

/// The status of the tab's session.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SessionStatus {
    /// The phase.
    pub phase: Phase,
    /// What carries the session, or was tried last.
    pub transport: Option<Transport>,
    /// How many commands have no answer yet.
    pub queued: usize,
    /// Milliseconds of the last measured round trip.
    pub round_trip: Option<f64>,
    /// The server runs another build than this page: the page should be loaded again when that suits the visitor.
    pub newer_build: bool,
}

/// The status of a topic in this tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicStatus {
    /// There is no state yet.
    Loading,
    /// The state is current.
    Live,
    /// The state was true, and later events are being requested. Also the status in the server's HTML.
    Resuming,
    /// The state was true. The session is down, and comes back by itself.
    Waiting,
    /// The visitor may not read the topic.
    Denied(Denied),
    /// The page cannot decode what the server sends: it has to be loaded again.
    Outdated,
}

/// Ends every wait for a next attempt, also one that the server ordered. Call it from an event handler.
///
/// # On the server
///
/// It must not be called there: it dispatches an event of the window.
pub fn retry_now() {
    if let Ok(event) = web_sys::Event::new(RETRY) {
        let _ = window().dispatch_event(&event);
    }
}

/// The session's status. Without [`provide_session`](crate::provide_session), [`Phase::Idle`] for ever.
///
/// # On the server
///
/// It is [`Phase::Idle`].
#[must_use]
pub fn use_session_status() -> Signal<SessionStatus> {
    use_context::<ProvidedStatus>().map_or_else(|| Signal::stored(SessionStatus::default()), |provided| provided.0)
}

/// In the context of the whole page.
#[derive(Clone, Copy)]
pub(crate) struct ProvidedStatus(pub Signal<SessionStatus>);
