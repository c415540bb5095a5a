//! Starts, drains and crashes successive nodes on one store.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use duplex::server::site;
use duplex::server::state::{ServerState, Settings};
use duplex_axum::listen;
use duplex_hub::Hub;
use duplex_hub::log::Log;
use tokio::io::{DuplexStream, duplex};
use tokio::time::timeout;

use super::disk::{Disk, Store};
use super::random::Random;
use crate::harness::{PIPE_CAPACITY, TIMEOUT, kinds, routes};

pub struct Server {
    pub store: Store,
    /// The listening node, if any.
    node: Mutex<Option<Node>>,
    random: Mutex<Random>,
}

#[derive(Clone)]
pub struct Node {
    pub state: ServerState,
    pub disk: Arc<Disk>,
    router: Router,
}

impl Server {
    pub fn new(store: Store, random: Random) -> Self {
        Self {
            store,
            node: Mutex::default(),
            random: Mutex::new(random),
        }
    }

    /// Starts a node if none is running.
    pub fn start(&self) {
        let mut node = self.node.lock().unwrap();
        if node.is_none() {
            let disk = Arc::new(self.store.open(self.random.lock().unwrap().split()));
            let hub = Hub::new(Arc::clone(&disk) as Arc<dyn Log>, kinds::all());
            let options = site::options(Path::new("/nonexistent"), None, None);
            let state = ServerState::new(Settings::default(), options, hub, Arc::default());
            *node = Some(Node {
                router: routes(&state),
                state,
                disk,
            });
        }
    }

    pub fn node(&self) -> Option<Node> {
        self.node.lock().unwrap().clone()
    }

    /// Stops listening and returns the node; its open connections stay open until it stops.
    pub fn take_node(&self) -> Option<Node> {
        self.node.lock().unwrap().take()
    }

    /// A connection to the node, if one listens.
    pub fn connect(&self) -> Option<DuplexStream> {
        let Node { router, state, .. } = self.node()?;
        let (client, server) = duplex(PIPE_CAPACITY);
        let shutdown = state.shutdown.clone();
        shutdown.spawn(listen::serve_connection(server, None, router, state.gateway.clone()));
        Some(client)
    }
}

impl Node {
    /// Drains the node as the binary does on SIGTERM; with a timeout, because a stalled disk would block it.
    pub async fn drain(self) {
        let _ = timeout(TIMEOUT, async {
            self.state.shutdown.begin();
            let _ = self
                .state
                .shutdown
                .wait_for_tasks(self.state.settings.drain_deadline)
                .await;
            self.state.hub.close().await;
        })
        .await;
        self.disk.crash().await;
    }
}
