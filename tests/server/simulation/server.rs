//! Starts, drains and crashes nodes on one store: successive ones, or several at once that a bus connects.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use duplex::server::site;
use duplex::server::state::{ServerState, Settings};
use duplex_axum::listen;
use duplex_hub::Hub;
use duplex_hub::bus::{MemoryBus, MemoryBusPort};
use duplex_hub::log::Log;
use tokio::io::{DuplexStream, duplex};
use tokio::time::timeout;

use super::disk::{Disk, Store};
use super::random::Random;
use crate::harness::{PIPE_CAPACITY, TIMEOUT, kinds, routes};

/// One place for a node: at most one listens there.
pub struct Server {
    pub store: Arc<Store>,
    /// The listening node, if any.
    node: Mutex<Option<Node>>,
    random: Mutex<Random>,
    /// Connects the nodes of several servers.
    bus: Option<Arc<MemoryBus>>,
}

#[derive(Clone)]
pub struct Node {
    pub state: ServerState,
    pub disk: Arc<Disk>,
    router: Router,
    port: Option<Arc<MemoryBusPort>>,
}

impl Server {
    pub fn new(store: Arc<Store>, random: Random, bus: Option<Arc<MemoryBus>>) -> Self {
        Self {
            store,
            node: Mutex::default(),
            random: Mutex::new(random),
            bus,
        }
    }

    /// Starts a node if none is running.
    pub fn start(&self) {
        let mut node = self.node.lock().unwrap();
        if node.is_none() {
            let disk = Arc::new(self.store.open(self.random.lock().unwrap().split()));
            let hub = Hub::new(Arc::clone(&disk) as Arc<dyn Log>, kinds::all());
            let port = self.bus.as_ref().map(MemoryBus::join);
            if let Some(port) = &port {
                hub.connect(Arc::clone(port) as _);
            }
            let options = site::options(Path::new("/nonexistent"), None, None);
            let state = ServerState::new(Settings::default(), options, hub, Arc::default());
            *node = Some(Node {
                router: routes(&state),
                state,
                disk,
                port,
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
    /// Crashes the node: it stops in the middle of everything.
    pub async fn crash(self) {
        if let Some(port) = &self.port {
            port.disconnect();
        }
        self.disk.crash().await;
    }

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
        self.crash().await;
    }
}

/// A load balancer: each connection goes to any of the nodes that listen.
pub struct Balancer {
    pub servers: Vec<Server>,
    random: Mutex<Random>,
}

impl Balancer {
    pub fn new(servers: Vec<Server>, random: Random) -> Self {
        Self {
            servers,
            random: Mutex::new(random),
        }
    }

    /// A connection to a node and the number of its server, if a node listens.
    pub fn connect(&self) -> Option<(usize, DuplexStream)> {
        let count = self.servers.len();
        let first = match count {
            1 => 0,
            _ => self.random.lock().unwrap().below(count as u64) as usize,
        };
        let mut servers = (0..count).map(|number| (first + number) % count);
        servers.find_map(|number| Some((number, self.servers[number].connect()?)))
    }

    /// Any listening node.
    pub fn node(&self) -> Option<Node> {
        self.servers.iter().find_map(Server::node)
    }
}
