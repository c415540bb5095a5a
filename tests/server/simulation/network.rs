//! What lies between one tab and the server: bytes arrive late, in pieces, or not at all, connections are cut in the middle
//! of a frame, go silent without an end, or are not let through. Knows no frame.

use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::sync::watch;
use tokio::time::timeout;

use super::random::Random;
use super::server::Server;
use crate::harness::PIPE_CAPACITY;

/// A system that gets no acknowledgement gives its connection up after this, about.
const GIVEN_UP: Duration = Duration::from_secs(120);

/// Bytes that are carried at once: a frame of some size comes in pieces.
const PIECE: usize = 1400;

/// What a connection is for, as far as a proxy can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    WebSocket,
    Stream,
    Request,
}

/// What a proxy does to a kind of connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Block {
    #[default]
    No,
    Refused,
    /// Nothing ever comes back.
    Silent,
    /// It lives for a second or two.
    Short,
}

/// What befalls the connections that are opened now, and those that are open.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Nothing gets through, and nobody is told.
    pub parted: bool,
    pub websocket: Block,
    pub stream: Block,
    pub slow: bool,
}

impl Weather {
    fn block(&self, kind: Kind) -> Block {
        match kind {
            Kind::WebSocket => self.websocket,
            Kind::Stream => self.stream,
            Kind::Request => Block::No,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Flows,
    /// Goes on later.
    Held,
    /// Both ends may speak, and neither hears anything again.
    Lost,
    Cut,
}

/// One tab's.
pub struct Network {
    server: Arc<Server>,
    weather: watch::Sender<Weather>,
    lines: Mutex<Vec<watch::Sender<Fate>>>,
    random: Mutex<Random>,
}

impl Network {
    pub fn new(server: Arc<Server>, random: Random) -> Self {
        Self {
            server,
            weather: watch::Sender::default(),
            lines: Mutex::default(),
            random: Mutex::new(random),
        }
    }

    pub fn change(&self, change: impl FnOnce(&mut Weather)) {
        self.weather.send_modify(change);
    }

    /// Every open connection ends, most of them in the middle of something.
    pub fn cut(&self) {
        for line in self.lines.lock().unwrap().drain(..) {
            line.send_replace(Fate::Cut);
        }
    }

    /// Nothing is heard any more over what is open; some of it goes on when the network is mended.
    pub fn part(&self) {
        self.change(|weather| weather.parted = true);
        let mut random = self.random.lock().unwrap();
        for line in &*self.lines.lock().unwrap() {
            let fate = if random.chance(1, 2) { Fate::Held } else { Fate::Lost };
            line.send_if_modified(|now| *now == Fate::Flows && std::mem::replace(now, fate) != fate);
        }
    }

    pub fn mend(&self) {
        self.change(|weather| weather.parted = false);
        for line in &*self.lines.lock().unwrap() {
            line.send_if_modified(|now| *now == Fate::Held && std::mem::replace(now, Fate::Flows) != Fate::Flows);
        }
    }

    /// Ready when the connection is there; for as long as nothing passes, it is not.
    pub async fn connect(&self, kind: Kind) -> io::Result<DuplexStream> {
        let mut weather = self.weather.subscribe();
        let silent = |weather: &Weather| kind == Kind::WebSocket && weather.websocket == Block::Silent;
        let passes = weather.wait_for(|weather| !weather.parted && !silent(weather)).await;
        let block = passes.map_err(io::Error::other)?.block(kind);
        if block == Block::Refused {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let far = self.server.connect().ok_or(io::ErrorKind::ConnectionRefused)?;
        Ok(self.lay(far, block))
    }

    fn lay(&self, far: DuplexStream, block: Block) -> DuplexStream {
        let (tab, near) = duplex(PIPE_CAPACITY);
        let fate = watch::Sender::new(Fate::Flows);
        let (from_tab, to_tab) = split(near);
        let (from_server, to_server) = split(far);
        let mut random = self.random.lock().unwrap();
        let life = (block == Block::Short).then(|| random.millis(200, 2_000));
        let up = self.carrier(from_tab, to_server, &fate, &mut random, false);
        let down = self.carrier(from_server, to_tab, &fate, &mut random, block == Block::Silent);
        let watched = fate.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                _ = async { tokio::join!(up.run(), down.run()) } => {}
                () = ends(watched, life) => {}
            }
        });
        let mut lines = self.lines.lock().unwrap();
        lines.retain(|line| !line.is_closed());
        lines.push(fate);
        tab
    }

    fn carrier(
        &self,
        from: ReadHalf<DuplexStream>,
        to: WriteHalf<DuplexStream>,
        fate: &watch::Sender<Fate>,
        random: &mut Random,
        deaf: bool,
    ) -> Carrier {
        Carrier {
            from,
            to,
            fate: fate.subscribe(),
            weather: self.weather.subscribe(),
            random: random.fork(),
            deaf,
        }
    }
}

/// Ready when the connection is given up.
async fn ends(mut fate: watch::Receiver<Fate>, life: Option<Duration>) {
    if let Some(life) = life {
        let _ = timeout(life, fate.wait_for(|fate| *fate == Fate::Cut)).await;
        return;
    }
    if fate.wait_for(|fate| *fate == Fate::Lost).await.is_err() {
        return pending().await;
    }
    let _ = timeout(GIVEN_UP, fate.wait_for(|fate| *fate == Fate::Cut)).await;
}

/// One direction of a connection.
struct Carrier {
    from: ReadHalf<DuplexStream>,
    to: WriteHalf<DuplexStream>,
    fate: watch::Receiver<Fate>,
    weather: watch::Receiver<Weather>,
    random: Random,
    /// What it takes it does not deliver.
    deaf: bool,
}

impl Carrier {
    async fn run(mut self) {
        let mut piece = vec![0; PIECE];
        loop {
            let mut fate = self.fate.clone();
            let read = tokio::select! {
                biased;
                () = cut(&mut fate) => return,
                read = self.from.read(&mut piece) => read.unwrap_or(0),
            };
            match self.travel().await {
                Fate::Cut => {
                    let part = self.random.below(read as u64 + 1) as usize;
                    let _ = self.to.write_all(&piece[..part]).now_or_never();
                    return;
                }
                Fate::Flows if !self.deaf => {}
                _ if read > 0 => continue,
                _ => return cut(&mut fate).await,
            }
            if read == 0 {
                let _ = self.to.shutdown().await;
                return;
            }
            let written = tokio::select! {
                biased;
                () = cut(&mut fate) => return,
                written = self.to.write_all(&piece[..read]) => written,
            };
            if written.is_err() {
                return;
            }
        }
    }

    /// The way through the network, and what became of the connection meanwhile.
    async fn travel(&mut self) -> Fate {
        let (first, last) = if self.weather.borrow().slow {
            (300, 3_000)
        } else {
            (1, 60)
        };
        let trip = self.random.millis(first, last);
        let mut fate = self.fate.clone();
        if timeout(trip, cut(&mut fate)).await.is_ok() {
            return Fate::Cut;
        }
        let arrived = fate.wait_for(|fate| *fate != Fate::Held).await;
        arrived.map_or(Fate::Cut, |fate| *fate)
    }
}

async fn cut(fate: &mut watch::Receiver<Fate>) {
    // A network that forgot the connection leaves it to its ends.
    if fate.wait_for(|fate| *fate == Fate::Cut).await.is_err() {
        pending().await
    }
}
