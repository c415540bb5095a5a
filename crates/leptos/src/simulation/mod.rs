//! Simulations on a page: the server-rendered preview and the live connection.
//!
//! A simulation advances on a fixed tick and sends each viewer its own latest frame. It has no log: a dropped frame is superseded
//! by the next.

mod connection;
mod transport_policy;

use std::sync::Arc;

use leptos::prelude::*;
use serde::de::DeserializeOwned;

pub use self::connection::SimulationConnection;
pub use self::transport_policy::SimulationTransport;

/// Provides simulation previews to server rendering: maps a simulation's path to JSON. The server provides it in the context of
/// each rendering.
#[derive(Clone)]
pub struct PreviewSource(pub Arc<Previews>);

type Previews = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The preview of the simulation at `path`, as of server rendering. `None` if the server did not render the page, or if the preview
/// is not a `T`; the connection then provides the first frame.
///
/// # On the server
///
/// Calls the context's [`PreviewSource`].
pub fn preview<T: DeserializeOwned>(path: &'static str) -> Option<T> {
    let json: Option<String> =
        SharedValue::new(|| use_context::<PreviewSource>().and_then(|PreviewSource(source)| source(path))).into_inner();
    serde_json::from_str(&json?).ok()
}

/// The status of a [`SimulationConnection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// It is being opened.
    Connecting,
    /// Frames arrive.
    Live(SimulationTransport),
    /// Disconnected; waiting to reconnect.
    Waiting,
    /// It was closed with this final code.
    Stopped(u16),
}

/// What a [`SimulationConnection`] calls: provides input and renders frames.
pub trait SimulationClient {
    /// The input to send now.
    fn input(&self) -> Vec<u8>;

    /// A frame arrived.
    fn on_frame(&self, frame: &[u8]);

    /// The connection's status changed.
    fn on_status(&self, status: ConnectionStatus);
}
