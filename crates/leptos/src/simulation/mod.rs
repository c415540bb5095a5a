//! A simulation of the server in a page: the preview that the server rendered, and the connection to it.
//!
//! A simulation advances on a fixed tick and sends each viewer its own latest frame. It has no log: a dropped frame is superseded
//! by the next.

mod connection;
mod plan;

use std::sync::Arc;

use leptos::prelude::*;
use serde::de::DeserializeOwned;

pub use self::connection::SimulationConnection;
pub use self::plan::SimulationTransport;

/// Where the server's rendering finds the previews of simulations, as JSON, by the simulation's path. The server provides it in
/// the context of each rendering.
#[derive(Clone)]
pub struct SimulationSource(pub Arc<Previews>);

type Previews = dyn Fn(&str) -> Option<String> + Send + Sync;

/// What the simulation at `path` showed when the page was rendered. The server writes it into the page. `None` if the page was
/// not rendered by the server, or if the preview is not a `T`: the connection will bring a frame.
///
/// # On the server
///
/// It asks the context's [`SimulationSource`].
pub fn preview<T: DeserializeOwned>(path: &'static str) -> Option<T> {
    let shown: Option<String> =
        SharedValue::new(|| use_context::<SimulationSource>().and_then(|SimulationSource(source)| source(path)))
            .into_inner();
    serde_json::from_str(&shown?).ok()
}

/// The status of a [`SimulationConnection`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// It is being opened.
    Connecting,
    /// Frames arrive.
    Live(SimulationTransport),
    /// It was lost, and comes back by itself.
    Waiting,
    /// It was closed for good, with this code.
    Stopped(u16),
}

/// Whom a [`SimulationConnection`] serves: sends this viewer's input, and shows the frames.
pub trait Participant {
    /// The input to send now.
    fn input(&self) -> Vec<u8>;

    /// A frame arrived.
    fn on_frame(&self, frame: &[u8]);

    /// The connection's status changed.
    fn on_status(&self, status: ConnectionStatus);
}
