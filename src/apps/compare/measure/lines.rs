//! The ways by requests: an echo, and what is posted and comes back as a server-sent event or as the answer to a poll.

use std::rc::Rc;

use leptos::task::spawn_local;
use wasm_bindgen::{JsCast, closure::Closure};
use web_sys::{AbortController, Event, EventSource, MessageEvent};

use super::request::{get, get_until, labelled, post};
use super::{Answered, Exchange, Fault, now, waiting::Waiting};
use crate::apps::compare::model::Way;
use crate::apps::compare::wire::measure::{ECHO_PATH, EVENTS_PATH, POLL_PATH, SEND_PATH, number};

/// Posted, and answered with the same.
pub(super) struct Requests {
    address: Rc<str>,
}

impl Requests {
    /// `close`: the server closes each connection after its answer, so that the browser has to open a new one.
    pub fn new(run: &str, way: Way) -> Self {
        let more = if way == Way::Fresh { "&close=1" } else { "" };
        Self {
            address: labelled(ECHO_PATH, run, way.name(), more).into(),
        }
    }
}

impl Exchange for Requests {
    fn exchange(&self, _number: u32, text: String) -> Answered {
        let address = Rc::clone(&self.address);
        Box::pin(async move {
            let answer = post(&address, &text).await?;
            if answer == text { Ok(now()) } else { Err(Fault::Refused) }
        })
    }
}

/// Posts into a box, and waits until it came out of it.
struct Said {
    address: Rc<str>,
    waiting: Waiting,
}

impl Said {
    fn new(run: &str, way: &str) -> Self {
        Self {
            address: labelled(SEND_PATH, run, way, &format!("&box={way}")).into(),
            waiting: Waiting::default(),
        }
    }

    fn exchange(&self, number: u32, text: String) -> Answered {
        let answer = self.waiting.wait(number);
        let address = Rc::clone(&self.address);
        Box::pin(async move {
            post(&address, &text).await?;
            answer.await
        })
    }
}

pub(super) struct Events {
    said: Said,
    source: EventSource,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_open: Closure<dyn FnMut(Event)>,
}

impl Events {
    pub async fn open(run: &str) -> Result<Self, Fault> {
        const OPENING: u32 = u32::MAX;
        let way = Way::Sse.name();
        let said = Said::new(run, way);
        let source =
            EventSource::new(&labelled(EVENTS_PATH, run, way, &format!("&box={way}"))).map_err(|_| Fault::Away)?;
        let heard = said.waiting.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(number) = event.data().as_string().as_deref().and_then(number) {
                heard.came(number);
            }
        });
        let heard = said.waiting.clone();
        let on_open = Closure::<dyn FnMut(Event)>::new(move |_: Event| heard.came(OPENING));
        let opened = said.waiting.wait(OPENING);
        source.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        source.set_onopen(Some(on_open.as_ref().unchecked_ref()));
        let this = Self {
            said,
            source,
            _on_message: on_message,
            _on_open: on_open,
        };
        opened.await?;
        Ok(this)
    }
}

impl Exchange for Events {
    fn exchange(&self, number: u32, text: String) -> Answered {
        self.said.exchange(number, text)
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.source.set_onmessage(None);
        self.source.set_onopen(None);
        self.source.close();
    }
}

pub(super) struct Polls {
    said: Said,
    abort: AbortController,
}

impl Polls {
    pub async fn open(run: &str) -> Result<Self, Fault> {
        let way = Way::Poll.name();
        let said = Said::new(run, way);
        let abort = AbortController::new().map_err(|_| Fault::Away)?;
        let address = labelled(POLL_PATH, run, way, &format!("&box={way}"));
        let newest = get(&address).await?.trim().parse().map_err(|_| Fault::Refused)?;
        spawn_local(poll(address, newest, said.waiting.clone(), abort.signal()));
        Ok(Self { said, abort })
    }
}

/// One poll after the other, until it is aborted.
async fn poll(address: String, mut newest: u64, waiting: Waiting, signal: web_sys::AbortSignal) {
    while !signal.aborted() {
        let Ok(answer) = get_until(&format!("{address}&after={newest}"), &signal).await else {
            return;
        };
        let mut lines = answer.lines();
        newest = lines.next().and_then(|line| line.parse().ok()).unwrap_or(newest);
        lines.filter_map(number).for_each(|number| waiting.came(number));
    }
}

impl Exchange for Polls {
    fn exchange(&self, number: u32, text: String) -> Answered {
        self.said.exchange(number, text)
    }
}

impl Drop for Polls {
    fn drop(&mut self) {
        self.abort.abort();
    }
}
