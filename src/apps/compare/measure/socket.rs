//! A WebSocket of a measurement: open when it is there, closed with 1000 when it is dropped. Knows no way.

use std::rc::Rc;

use super::{Answered, Exchange, Fault, now, waiting::Waiting};
use crate::apps::compare::wire::measure::number;
use duplex_leptos::socket::{BrowserSocket, Payload, SocketReport, resolve};

/// No message has this number.
const OPENING: u32 = u32::MAX;

pub(super) struct Socket {
    socket: Option<BrowserSocket>,
}

impl Socket {
    pub async fn open(address: &str, protocols: &[String], hear: impl Fn(&Payload) + 'static) -> Result<Self, Fault> {
        let waiting = Waiting::default();
        let opened = waiting.wait(OPENING);
        let hear = Rc::new(hear);
        let report = move |report| match report {
            SocketReport::Open { .. } => waiting.came(OPENING),
            SocketReport::Message(payload) => hear(&payload),
            SocketReport::Error => {}
            SocketReport::Close { .. } => waiting.refused(OPENING),
        };
        let socket = BrowserSocket::open(&resolve(address), protocols, report).map_err(|_| Fault::Away)?;
        let this = Self { socket: Some(socket) };
        opened.await.map_err(|_| Fault::Away)?;
        Ok(this)
    }

    pub fn send(&self, payload: &Payload) -> Result<(), Fault> {
        let socket = self.socket.as_ref().ok_or(Fault::Away)?;
        socket.send(payload).map_err(|_| Fault::Away)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.take() {
            socket.leave(|_| ());
        }
    }
}

/// Each message comes back as it went.
pub(super) struct Echo {
    socket: Socket,
    waiting: Waiting,
}

impl Echo {
    pub async fn open(address: &str) -> Result<Self, Fault> {
        let waiting = Waiting::default();
        let heard = waiting.clone();
        let hear = move |payload: &Payload| {
            if let Payload::Text(text) = payload
                && let Some(number) = number(text)
            {
                heard.came(number);
            }
        };
        Ok(Self {
            socket: Socket::open(address, &[], hear).await?,
            waiting,
        })
    }
}

impl Exchange for Echo {
    fn exchange(&self, number: u32, text: String) -> Answered {
        let answer = self.waiting.wait(number);
        let sent = self.socket.send(&Payload::Text(text));
        Box::pin(async move {
            sent?;
            answer.await
        })
    }
}

/// Asks for documents; each answer is as good as another, so they are numbered as they come.
pub(super) struct Asker {
    socket: Socket,
    waiting: Waiting,
}

impl Asker {
    pub async fn open(address: &str) -> Result<Self, Fault> {
        let waiting = Waiting::default();
        let heard = waiting.clone();
        let came = std::cell::Cell::new(0);
        let hear = move |_: &Payload| {
            heard.came(came.get());
            came.set(came.get() + 1);
        };
        Ok(Self {
            socket: Socket::open(address, &[], hear).await?,
            waiting,
        })
    }

    /// The time until all of them came, one after the other or all at once.
    pub async fn ask(&self, bytes: usize, times: u32, at_once: bool) -> Result<f64, Fault> {
        let began = now();
        let mut answers = Vec::new();
        for number in 0..times {
            answers.push(self.waiting.wait(number));
            self.socket.send(&Payload::Text(bytes.to_string()))?;
            if !at_once && let Some(answer) = answers.pop() {
                answer.await?;
            }
        }
        for answer in answers {
            answer.await?;
        }
        Ok(now() - began)
    }
}
