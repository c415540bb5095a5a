//! What a visitor may be told of the link and of a topic. Plain values and one signal; knows no machine and no page.

use leptos::prelude::*;

use duplex_protocol::session::Denied;

/// What carries a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    WebSocket,
    Sse,
    Poll,
}

/// Why a link does not come back by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The page is of another protocol than the server: loaded again, it works.
    Reload,
    /// The server takes no session from this page, or closed it for good with this code.
    Closed(u16),
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Phase {
    /// No topic is wanted.
    #[default]
    Idle,
    Connecting,
    Live,
    /// The next attempt is made then, in milliseconds of the page's clock (`performance.now()`).
    Waiting {
        until: f64,
    },
    /// The browser says that there is no network; it goes on as soon as there is.
    Offline,
    Stopped(Stop),
}

/// The tab's link now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct LinkStatus {
    pub phase: Phase,
    /// What carries the session, or was last tried.
    pub transport: Option<Transport>,
    /// Commands that have no answer yet.
    pub queued: usize,
    /// Milliseconds of the last ping.
    pub round_trip: Option<f64>,
    /// The server's build is not this page's: it should be loaded again when that suits the visitor.
    pub newer_build: bool,
}

/// A topic as this tab has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicStatus {
    /// There is no state yet.
    Loading,
    /// What is shown is current.
    Live,
    /// What is shown was true; what came since is being asked for. Also what the server's HTML says.
    Resuming,
    /// What is shown was true; the link is down and comes back by itself.
    Waiting,
    Denied(Denied),
    /// The server speaks of things that this page does not know: load it again.
    Outdated,
}

/// The event of the window by which a visitor asks for an attempt now: whatever waits for its next one hears it.
pub(crate) const RETRY: &str = "duplex-retry";

/// Ends every wait for a next attempt, also one that the server asked for. Only from event handlers.
pub fn retry_now() {
    if let Ok(event) = web_sys::Event::new(RETRY) {
        let _ = window().dispatch_event(&event);
    }
}

/// The link's status; idle where no link was provided.
pub fn use_link_status() -> Signal<LinkStatus> {
    use_context::<Provided>().map_or_else(|| Signal::stored(LinkStatus::default()), |provided| provided.0)
}

/// In the context of the whole page.
#[derive(Clone, Copy)]
pub(crate) struct Provided(pub Signal<LinkStatus>);
