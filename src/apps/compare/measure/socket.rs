//! `Socket`: a WebSocket whose `open` resolves after the handshake and which closes with code 1000 on drop; and the transports that
//! use it.

use std::rc::Rc;

use super::{Exchange, ExchangeError, ExchangeFuture, now, pending_replies::PendingReplies};
use crate::apps::compare::wire::measure::parse_number;
use duplex_leptos::socket::{BrowserSocket, BrowserSocketEvent, Payload, resolve};

pub(super) struct Socket {
    socket: Option<BrowserSocket>,
}

impl Socket {
    pub async fn open(
        url: &str,
        protocols: &[String],
        on_message: impl Fn(&Payload) + 'static,
    ) -> Result<Self, ExchangeError> {
        let pending = PendingReplies::default();
        let opened = pending.register(PendingReplies::HANDSHAKE);
        let on_message = Rc::new(on_message);
        let on_event = move |event| match event {
            BrowserSocketEvent::Open { .. } => pending.resolve(PendingReplies::HANDSHAKE),
            BrowserSocketEvent::Message(payload) => on_message(&payload),
            BrowserSocketEvent::Error => {}
            BrowserSocketEvent::Close { .. } => pending.reject(PendingReplies::HANDSHAKE),
        };
        let socket = BrowserSocket::open(&resolve(url), protocols, on_event).map_err(|_| ExchangeError::Unreachable)?;
        let this = Self { socket: Some(socket) };
        opened.await.map_err(|_| ExchangeError::Unreachable)?;
        Ok(this)
    }

    pub fn send(&self, payload: &Payload) -> Result<(), ExchangeError> {
        let socket = self.socket.as_ref().ok_or(ExchangeError::Unreachable)?;
        socket.send(payload).map_err(|_| ExchangeError::Unreachable)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.close_detached(|_| ());
        }
    }
}

/// The echo endpoint.
pub(super) struct SocketExchange {
    socket: Socket,
    pending: PendingReplies,
}

impl SocketExchange {
    pub async fn open(url: &str) -> Result<Self, ExchangeError> {
        let pending = PendingReplies::default();
        let replies = pending.clone();
        let on_message = move |payload: &Payload| {
            if let Payload::Text(text) = payload
                && let Some(number) = parse_number(text)
            {
                replies.resolve(number);
            }
        };
        Ok(Self {
            socket: Socket::open(url, &[], on_message).await?,
            pending,
        })
    }
}

impl Exchange for SocketExchange {
    fn exchange(&self, number: u32, text: String) -> ExchangeFuture {
        let reply = self.pending.register(number);
        let sent = self.socket.send(&Payload::Text(text));
        Box::pin(async move {
            sent?;
            reply.await
        })
    }
}

/// Requests documents. Replies are interchangeable, so they are numbered in the order of arrival.
pub(super) struct DocumentSocket {
    socket: Socket,
    pending: PendingReplies,
}

impl DocumentSocket {
    pub async fn open(url: &str) -> Result<Self, ExchangeError> {
        let pending = PendingReplies::default();
        let replies = pending.clone();
        let received = std::cell::Cell::new(0);
        let on_message = move |_: &Payload| {
            replies.resolve(received.get());
            received.set(received.get() + 1);
        };
        Ok(Self {
            socket: Socket::open(url, &[], on_message).await?,
            pending,
        })
    }

    /// Requests `times` documents, one at a time or pipelined, and returns the elapsed milliseconds.
    pub async fn request(&self, bytes: usize, times: u32, pipelined: bool) -> Result<f64, ExchangeError> {
        let started = now();
        let mut replies = Vec::new();
        for number in 0..times {
            replies.push(self.pending.register(number));
            self.socket.send(&Payload::Text(bytes.to_string()))?;
            if !pipelined && let Some(reply) = replies.pop() {
                reply.await?;
            }
        }
        for reply in replies {
            reply.await?;
        }
        Ok(now() - started)
    }
}
