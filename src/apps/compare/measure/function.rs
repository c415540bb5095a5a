//! The ways that Leptos brings: a server function, and a `leptos_ws` signal that a server function sets. Their addresses are not
//! ours to choose, so a cookie labels their requests.

use futures_util::StreamExt as _;
use futures_util::future::abortable;
use futures_util::stream::{self, AbortHandle};
use leptos::prelude::*;
use leptos::server_fn::BoxedStream;
use leptos::task::spawn_local;
use leptos_ws::messages::{Messages, ServerSignalMessage};

use super::request::Label;
use super::{Answered, Exchange, Fault, now, waiting::Waiting};
use crate::apps::compare::model::Way;
use crate::apps::compare::wire::measure::{number, signal_name};

const FUNCTION_PATH: &str = "/api/compare/function";
const SIGNAL_PATH: &str = "/api/compare/signal";
/// Where `leptos_ws` opens its socket.
const SIGNALS_PATH: &str = "/api/leptos_ws_websocket";

/// Answers with the same text.
#[server(endpoint = "compare/function")]
async fn compare_function(text: String) -> Result<String, ServerFnError> {
    if text.len() > crate::apps::compare::wire::measure::MAX_PAYLOAD {
        return Err(ServerFnError::new("the text is too long"));
    }
    Ok(text)
}

/// Sets the signal of the run.
#[server(endpoint = "compare/signal")]
async fn compare_signal(run: String, text: String) -> Result<(), ServerFnError> {
    use crate::wire::run_signals::RunSignals;
    let Some(RunSignals(set)) = use_context::<RunSignals>() else {
        return Err(ServerFnError::new("there are no signals here"));
    };
    set(&run, &text).map_err(ServerFnError::new)
}

pub(super) struct Function {
    _label: Label,
}

impl Function {
    pub fn new(run: &str) -> Self {
        Self {
            _label: Label::put(FUNCTION_PATH, run, Way::Function.name()),
        }
    }
}

impl Exchange for Function {
    fn exchange(&self, _number: u32, text: String) -> Answered {
        Box::pin(async move {
            let answer = compare_function(text.clone()).await.map_err(|_| Fault::Away)?;
            if answer == text { Ok(now()) } else { Err(Fault::Refused) }
        })
    }
}

/// A socket of `leptos_ws` of its own, beside the one of the strip at the foot of the page, so that it can be counted and closed.
pub(super) struct Signal {
    run: String,
    waiting: Waiting,
    ended: [AbortHandle; 2],
    _labels: [Label; 2],
}

impl Signal {
    pub async fn open(run: &str) -> Result<Self, Fault> {
        let way = Way::Signal.name();
        let labels = [SIGNAL_PATH, SIGNALS_PATH].map(|path| Label::put(path, run, way));
        // A signal is there once it was set.
        compare_signal(run.to_owned(), String::new())
            .await
            .map_err(|_| Fault::Away)?;
        let waiting = Waiting::default();
        let established = waiting.wait(ESTABLISHED);
        let name = signal_name(run);
        let establish = Messages::ServerSignal(ServerSignalMessage::Establish(name.clone()));
        let said = stream::once(async move { Ok(establish) }).chain(stream::pending());
        // When neither half is there any more, the socket is closed.
        let (said, end_saying) = stream::abortable(said);
        let heard = leptos_ws::leptos_ws_websocket(said.into())
            .await
            .map_err(|_| Fault::Away)?;
        let (hearing, end_hearing) = abortable(listen(heard, waiting.clone()));
        spawn_local(async move {
            let _ = hearing.await;
        });
        let ended = [end_saying, end_hearing];
        established.await?;
        Ok(Self {
            run: run.to_owned(),
            waiting,
            ended,
            _labels: labels,
        })
    }
}

const ESTABLISHED: u32 = u32::MAX;

async fn listen(mut heard: BoxedStream<Messages, ServerFnError>, waiting: Waiting) {
    while let Some(Ok(message)) = heard.next().await {
        match &message {
            Messages::ServerSignal(ServerSignalMessage::EstablishResponse(_)) => waiting.came(ESTABLISHED),
            Messages::ServerSignal(ServerSignalMessage::Update(update)) => {
                if let Some(number) = value(update).as_deref().and_then(number) {
                    waiting.came(number);
                }
            }
            _ => {}
        }
    }
}

/// Of a signal that is one text: the patch replaces all of it.
fn value(update: &leptos_ws::messages::SignalUpdate) -> Option<String> {
    let update = serde_json::to_value(update).ok()?;
    Some(update.get("patch")?.get(0)?.get("value")?.as_str()?.to_owned())
}

impl Exchange for Signal {
    fn exchange(&self, number: u32, text: String) -> Answered {
        let (answer, run) = (self.waiting.wait(number), self.run.clone());
        Box::pin(async move {
            compare_signal(run, text).await.map_err(|_| Fault::Away)?;
            answer.await
        })
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        self.ended.iter().for_each(AbortHandle::abort);
    }
}
