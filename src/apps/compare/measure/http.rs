//! The HTTP transports: echo requests, and posts whose reply arrives over server-sent events or a long poll.

use std::rc::Rc;

use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{AbortController, Event, EventSource, MessageEvent};

use super::request::{get, get_until, labelled, post};
use super::{Exchange, ExchangeError, ExchangeFuture, now, pending_replies::PendingReplies};
use crate::apps::compare::model::Transport;
use crate::apps::compare::wire::measure::{ECHO_PATH, EVENTS_PATH, POLL_PATH, SEND_PATH, parse_number};

/// Echo requests.
pub(super) struct FetchExchange {
    url: Rc<str>,
}

impl FetchExchange {
    /// For [`Transport::NewConnection`] the server closes each connection after its response, so that the browser opens a new one.
    pub fn new(run: &str, transport: Transport) -> Self {
        let extra_query = if transport == Transport::NewConnection {
            "&close=1"
        } else {
            ""
        };
        Self {
            url: labelled(ECHO_PATH, run, transport.name(), extra_query).into(),
        }
    }
}

impl Exchange for FetchExchange {
    fn exchange(&self, _number: u32, text: String) -> ExchangeFuture {
        let url = Rc::clone(&self.url);
        Box::pin(async move {
            let reply = post(&url, &text).await?;
            if reply == text {
                Ok(now())
            } else {
                Err(ExchangeError::Rejected)
            }
        })
    }
}

/// Posts to a mailbox, and waits until the message arrives over the other channel.
struct MailboxPost {
    url: Rc<str>,
    pending: PendingReplies,
}

impl MailboxPost {
    fn new(run: &str, transport: &str) -> Self {
        Self {
            url: labelled(SEND_PATH, run, transport, &format!("&box={transport}")).into(),
            pending: PendingReplies::default(),
        }
    }

    fn exchange(&self, number: u32, text: String) -> ExchangeFuture {
        let reply = self.pending.register(number);
        let url = Rc::clone(&self.url);
        Box::pin(async move {
            post(&url, &text).await?;
            reply.await
        })
    }
}

pub(super) struct SseExchange {
    mailbox: MailboxPost,
    source: EventSource,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_open: Closure<dyn FnMut(Event)>,
}

impl SseExchange {
    pub async fn open(run: &str) -> Result<Self, ExchangeError> {
        let transport = Transport::Sse.name();
        let mailbox = MailboxPost::new(run, transport);
        let source = EventSource::new(&labelled(EVENTS_PATH, run, transport, &format!("&box={transport}")))
            .map_err(|_| ExchangeError::Unreachable)?;
        let replies = mailbox.pending.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(number) = event.data().as_string().as_deref().and_then(parse_number) {
                replies.resolve(number);
            }
        });
        let replies = mailbox.pending.clone();
        let on_open = Closure::<dyn FnMut(Event)>::new(move |_: Event| replies.resolve(PendingReplies::HANDSHAKE));
        let opened = mailbox.pending.register(PendingReplies::HANDSHAKE);
        source.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        source.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        let this = Self {
            mailbox,
            source,
            _on_message: on_message,
            _on_open: on_open,
        };
        opened.await?;
        Ok(this)
    }
}

impl Exchange for SseExchange {
    fn exchange(&self, number: u32, text: String) -> ExchangeFuture {
        self.mailbox.exchange(number, text)
    }
}

impl Drop for SseExchange {
    fn drop(&mut self) {
        self.source.set_onmessage(None);
        self.source.set_onopen(None);
        self.source.close();
    }
}

pub(super) struct PollExchange {
    mailbox: MailboxPost,
    abort: AbortController,
}

impl PollExchange {
    pub async fn open(run: &str) -> Result<Self, ExchangeError> {
        let transport = Transport::Poll.name();
        let mailbox = MailboxPost::new(run, transport);
        let abort = AbortController::new().map_err(|_| ExchangeError::Unreachable)?;
        let url = labelled(POLL_PATH, run, transport, &format!("&box={transport}"));
        let newest = get(&url).await?.trim().parse().map_err(|_| ExchangeError::Rejected)?;
        spawn_local(poll(url, newest, mailbox.pending.clone(), abort.signal()));
        Ok(Self { mailbox, abort })
    }
}

/// Polls repeatedly until it is aborted.
async fn poll(url: String, mut newest: u64, pending: PendingReplies, signal: web_sys::AbortSignal) {
    while !signal.aborted() {
        let Ok(reply) = get_until(&format!("{url}&after={newest}"), &signal).await else {
            return;
        };
        let mut lines = reply.lines();
        newest = lines.next().and_then(|line| line.parse().ok()).unwrap_or(newest);
        lines
            .filter_map(parse_number)
            .for_each(|number| pending.resolve(number));
    }
}

impl Exchange for PollExchange {
    fn exchange(&self, number: u32, text: String) -> ExchangeFuture {
        self.mailbox.exchange(number, text)
    }
}

impl Drop for PollExchange {
    fn drop(&mut self) {
        self.abort.abort();
    }
}
