//! The network between one tab and the server: it delays, splits or drops bytes, cuts connections in the middle of a frame, leaves them
//! half-open, or blocks them.

use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::watch;
use tokio::time::timeout;

use super::random::Random;
use super::server::Balancer;
use crate::harness::PIPE_CAPACITY;

/// Approximately the time after which an operating system drops a connection without acknowledgements.
const TCP_TIMEOUT: Duration = Duration::from_secs(120);

/// Maximum segment size in bytes.
const SEGMENT: usize = 1400;

/// The kind of a connection as a proxy sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectionKind {
    WebSocket,
    EventStream,
    Request,
}

/// What a proxy does to a kind of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Block {
    #[default]
    No,
    Refused,
    /// No response ever arrives.
    Silent,
    /// Cut after up to two seconds.
    ShortLived,
}

/// The current conditions for new and open connections.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions {
    /// No bytes pass, and neither end is notified.
    pub partitioned: bool,
    pub websocket: Block,
    pub stream: Block,
    pub slow: bool,
}

impl Conditions {
    fn block(&self, kind: ConnectionKind) -> Block {
        match kind {
            ConnectionKind::WebSocket => self.websocket,
            ConnectionKind::EventStream => self.stream,
            ConnectionKind::Request => Block::No,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ConnectionState {
    Open,
    /// Bytes are held back until the partition ends.
    Paused,
    /// Bytes are dropped in both directions.
    HalfOpen,
    Cut,
}

/// The network of one tab.
pub struct Network {
    balancer: Arc<Balancer>,
    conditions: watch::Sender<Conditions>,
    /// Each with the number of its server.
    connections: Mutex<Vec<(usize, watch::Sender<ConnectionState>)>>,
    random: Mutex<Random>,
}

impl Network {
    pub fn new(balancer: Arc<Balancer>, random: Random) -> Self {
        Self {
            balancer,
            conditions: watch::Sender::default(),
            connections: Mutex::default(),
            random: Mutex::new(random),
        }
    }

    pub fn change(&self, change: impl FnOnce(&mut Conditions)) {
        self.conditions.send_modify(change);
    }

    /// Cuts every open connection, usually in the middle of a frame.
    pub fn cut(&self) {
        for (_, connection) in self.connections.lock().unwrap().drain(..) {
            connection.send_replace(ConnectionState::Cut);
        }
    }

    /// Cuts every connection to one server, likewise.
    pub fn cut_server(&self, number: usize) {
        let mut connections = self.connections.lock().unwrap();
        for (_, connection) in connections.extract_if(.., |(server, _)| *server == number) {
            connection.send_replace(ConnectionState::Cut);
        }
    }

    /// Partitions the network: open connections are paused or half-open. Paused ones continue after [`Self::heal`].
    pub fn partition(&self) {
        self.change(|conditions| conditions.partitioned = true);
        let mut random = self.random.lock().unwrap();
        for (_, connection) in &*self.connections.lock().unwrap() {
            let state = if random.chance(1, 2) {
                ConnectionState::Paused
            } else {
                ConnectionState::HalfOpen
            };
            connection.send_if_modified(|now| *now == ConnectionState::Open && std::mem::replace(now, state) != state);
        }
    }

    pub fn heal(&self) {
        self.change(|conditions| conditions.partitioned = false);
        for (_, connection) in &*self.connections.lock().unwrap() {
            connection.send_if_modified(|now| {
                *now == ConnectionState::Paused
                    && std::mem::replace(now, ConnectionState::Open) != ConnectionState::Open
            });
        }
    }

    /// Connects to the server; waits while the network is partitioned or silent.
    pub async fn connect(&self, kind: ConnectionKind) -> io::Result<DuplexStream> {
        let mut conditions = self.conditions.subscribe();
        let silent =
            |conditions: &Conditions| kind == ConnectionKind::WebSocket && conditions.websocket == Block::Silent;
        let allowed = conditions
            .wait_for(|conditions| !conditions.partitioned && !silent(conditions))
            .await;
        let block = allowed.map_err(io::Error::other)?.block(kind);
        if block == Block::Refused {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let server = self.balancer.connect().ok_or(io::ErrorKind::ConnectionRefused)?;
        Ok(self.relay(server, block))
    }

    fn relay(&self, (number, server): (usize, DuplexStream), block: Block) -> DuplexStream {
        let (client, proxy) = duplex(PIPE_CAPACITY);
        let state = watch::Sender::new(ConnectionState::Open);
        let (from_client, to_client) = split(proxy);
        let (from_server, to_server) = split(server);
        let mut random = self.random.lock().unwrap();
        let lifetime = (block == Block::ShortLived).then(|| random.millis(200, 2_000));
        let up = self.new_direction(from_client, to_server, &state, &mut random, false);
        let down = self.new_direction(from_server, to_client, &state, &mut random, block == Block::Silent);
        let watched = state.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                _ = async { tokio::join!(up.run(), down.run()) } => {}
                () = wait_for_end(watched, lifetime) => {}
            }
        });
        let mut connections = self.connections.lock().unwrap();
        connections.retain(|(_, connection)| !connection.is_closed());
        connections.push((number, state));
        client
    }

    fn new_direction(
        &self,
        from: ReadHalf<DuplexStream>,
        to: WriteHalf<DuplexStream>,
        state: &watch::Sender<ConnectionState>,
        random: &mut Random,
        discards: bool,
    ) -> Direction {
        Direction {
            from,
            to,
            state: state.subscribe(),
            conditions: self.conditions.subscribe(),
            random: random.split(),
            discards,
        }
    }
}

/// Completes when the connection ends.
async fn wait_for_end(mut state: watch::Receiver<ConnectionState>, lifetime: Option<Duration>) {
    if let Some(lifetime) = lifetime {
        let _ = timeout(lifetime, state.wait_for(|state| *state == ConnectionState::Cut)).await;
        return;
    }
    if state
        .wait_for(|state| *state == ConnectionState::HalfOpen)
        .await
        .is_err()
    {
        return pending().await;
    }
    let _ = timeout(TCP_TIMEOUT, state.wait_for(|state| *state == ConnectionState::Cut)).await;
}

/// One direction of a connection.
struct Direction {
    from: ReadHalf<DuplexStream>,
    to: WriteHalf<DuplexStream>,
    state: watch::Receiver<ConnectionState>,
    conditions: watch::Receiver<Conditions>,
    random: Random,
    /// Whether it reads bytes without delivering them.
    discards: bool,
}

impl Direction {
    async fn run(mut self) {
        let mut segment = vec![0; SEGMENT];
        loop {
            let mut state = self.state.clone();
            let read = tokio::select! {
                biased;
                () = wait_for_cut(&mut state) => return,
                read = self.from.read(&mut segment) => read.unwrap_or(0),
            };
            match self.delay().await {
                ConnectionState::Cut => {
                    let part = self.random.below(read as u64 + 1) as usize;
                    let _ = self.to.write_all(&segment[..part]).now_or_never();
                    return;
                }
                ConnectionState::Open if !self.discards => {}
                _ if read > 0 => continue,
                _ => return wait_for_cut(&mut state).await,
            }
            if read == 0 {
                let _ = self.to.shutdown().await;
                return;
            }
            let written = tokio::select! {
                biased;
                () = wait_for_cut(&mut state) => return,
                written = self.to.write_all(&segment[..read]) => written,
            };
            if written.is_err() {
                return;
            }
        }
    }

    /// Waits for the latency of one segment; returns the state of the connection after it.
    async fn delay(&mut self) -> ConnectionState {
        let (first, last) = if self.conditions.borrow().slow {
            (300, 3_000)
        } else {
            (1, 60)
        };
        let latency = self.random.millis(first, last);
        let mut state = self.state.clone();
        if timeout(latency, wait_for_cut(&mut state)).await.is_ok() {
            return ConnectionState::Cut;
        }
        let arrived = state.wait_for(|state| *state != ConnectionState::Paused).await;
        arrived.map_or(ConnectionState::Cut, |state| *state)
    }
}

async fn wait_for_cut(state: &mut watch::Receiver<ConnectionState>) {
    // The network no longer tracks this connection, so only its ends can close it.
    if state.wait_for(|state| *state == ConnectionState::Cut).await.is_err() {
        pending().await
    }
}
