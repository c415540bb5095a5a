//! The transports of Leptos: a server function, and a `leptos_ws` signal that a server function sets. The page cannot choose
//! their URLs, so a cookie labels their requests.

use futures_util::StreamExt as _;
use futures_util::future::abortable;
use futures_util::stream::{self, AbortHandle};
use leptos::prelude::*;
use leptos::server_fn::BoxedStream;
use leptos::task::spawn_local;
use leptos_ws::messages::{Messages, ServerSignalMessage};

use super::request::LabelCookie;
use super::{Exchange, ExchangeError, ExchangeFuture, now, pending_replies::PendingReplies};
use crate::apps::compare::model::Transport;
use crate::apps::compare::wire::measure::{parse_number, signal_name};

const FUNCTION_PATH: &str = "/api/compare/function";
const SET_SIGNAL_PATH: &str = "/api/compare/signal";
/// The path at which `leptos_ws` opens its WebSocket.
const LEPTOS_WS_PATH: &str = "/api/leptos_ws_websocket";

/// Echoes the text.
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
    let Some(RunSignals(set_signal)) = use_context::<RunSignals>() else {
        return Err(ServerFnError::new("signals are not available"));
    };
    set_signal(&run, &text).map_err(ServerFnError::new)
}

pub(super) struct FunctionExchange {
    _label: LabelCookie,
}

impl FunctionExchange {
    pub fn new(run: &str) -> Self {
        Self {
            _label: LabelCookie::set(FUNCTION_PATH, run, Transport::Function.name()),
        }
    }
}

impl Exchange for FunctionExchange {
    fn exchange(&self, _number: u32, text: String) -> ExchangeFuture {
        Box::pin(async move {
            let reply = compare_function(text.clone())
                .await
                .map_err(|_| ExchangeError::Unreachable)?;
            if reply == text {
                Ok(now())
            } else {
                Err(ExchangeError::Rejected)
            }
        })
    }
}

/// A separate `leptos_ws` connection, so that it can be counted and closed; the page's status bar has its own.
pub(super) struct SignalExchange {
    run: String,
    pending: PendingReplies,
    abort_handles: [AbortHandle; 2],
    _labels: [LabelCookie; 2],
}

impl SignalExchange {
    pub async fn open(run: &str) -> Result<Self, ExchangeError> {
        let transport = Transport::Signal.name();
        let labels = [SET_SIGNAL_PATH, LEPTOS_WS_PATH].map(|path| LabelCookie::set(path, run, transport));
        // The first set creates the signal on the server.
        compare_signal(run.to_owned(), String::new())
            .await
            .map_err(|_| ExchangeError::Unreachable)?;
        let pending = PendingReplies::default();
        let established = pending.register(PendingReplies::HANDSHAKE);
        let name = signal_name(run);
        let establish = Messages::ServerSignal(ServerSignalMessage::Establish(name.clone()));
        let outgoing = stream::once(async move { Ok(establish) }).chain(stream::pending());
        // The socket closes when both halves are dropped.
        let (outgoing, stop_outgoing) = stream::abortable(outgoing);
        let incoming = leptos_ws::leptos_ws_websocket(outgoing.into())
            .await
            .map_err(|_| ExchangeError::Unreachable)?;
        let (receiving, stop_incoming) = abortable(receive(incoming, pending.clone()));
        spawn_local(async move {
            let _ = receiving.await;
        });
        let abort_handles = [stop_outgoing, stop_incoming];
        established.await?;
        Ok(Self {
            run: run.to_owned(),
            pending,
            abort_handles,
            _labels: labels,
        })
    }
}

async fn receive(mut incoming: BoxedStream<Messages, ServerFnError>, pending: PendingReplies) {
    while let Some(Ok(message)) = incoming.next().await {
        match &message {
            Messages::ServerSignal(ServerSignalMessage::EstablishResponse(_)) => {
                pending.resolve(PendingReplies::HANDSHAKE)
            }
            Messages::ServerSignal(ServerSignalMessage::Update(update)) => {
                if let Some(number) = value(update).as_deref().and_then(parse_number) {
                    pending.resolve(number);
                }
            }
            _ => {}
        }
    }
}

/// Extracts the new value: the signal holds one string, and the JSON patch replaces it.
fn value(update: &leptos_ws::messages::SignalUpdate) -> Option<String> {
    let update = serde_json::to_value(update).ok()?;
    Some(update.get("patch")?.get(0)?.get("value")?.as_str()?.to_owned())
}

impl Exchange for SignalExchange {
    fn exchange(&self, number: u32, text: String) -> ExchangeFuture {
        let (reply, run) = (self.pending.register(number), self.run.clone());
        Box::pin(async move {
            compare_signal(run, text)
                .await
                .map_err(|_| ExchangeError::Unreachable)?;
            reply.await
        })
    }
}

impl Drop for SignalExchange {
    fn drop(&mut self) {
        self.abort_handles.iter().for_each(AbortHandle::abort);
    }
}
