//! Many WebSockets on one thread. Knows nothing of what they say.

use crate::{
    Result,
    socket::{Door, News, Outbox, Socket},
};
use mio::{Events, Interest, Poll, Token};
use std::{collections::HashMap, net::SocketAddr, time::Duration};

/// More than any frame here has.
const BUFFER: usize = 256 * 1024;

pub struct Crowd {
    addr: SocketAddr,
    poll: Poll,
    events: Events,
    sockets: HashMap<usize, Socket>,
    buffer: Vec<u8>,
}

impl Crowd {
    pub fn new(addr: SocketAddr) -> Result<Self> {
        Ok(Self {
            addr,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            sockets: HashMap::new(),
            buffer: vec![0; BUFFER],
        })
    }

    /// Begins a connection; it is open when it is heard that it is.
    pub fn connect(&mut self, who: usize, door: &Door) -> Result<()> {
        let mut socket = Socket::connect(self.addr, door)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut socket.stream, Token(who), interest)?;
        self.sockets.insert(who, socket);
        Ok(())
    }

    /// Hangs up without a word.
    pub fn cut(&mut self, who: usize) -> Result<()> {
        if let Some(mut socket) = self.sockets.remove(&who) {
            self.poll.registry().deregister(&mut socket.stream)?;
        }
        Ok(())
    }

    pub fn say(&mut self, who: usize, say: impl FnOnce(&mut Outbox)) -> Result<()> {
        let socket = self
            .sockets
            .get_mut(&who)
            .ok_or("who says something is not connected")?;
        say(&mut socket.out);
        socket.flush()
    }

    /// Waits for something to be ready, and reads all that is. What is said to an answer goes out in one write.
    pub fn turn(&mut self, wait: Duration, mut hear: impl FnMut(usize, &mut Outbox, News) -> Result<()>) -> Result<()> {
        self.poll.poll(&mut self.events, Some(wait))?;
        for event in &self.events {
            let Token(who) = event.token();
            let Some(socket) = self.sockets.get_mut(&who) else {
                continue;
            };
            if event.is_writable() {
                if let Some(error) = socket.stream.take_error()? {
                    return Err(format!("connection {who}: {error}").into());
                }
                socket.stream.set_nodelay(true)?;
            }
            socket.flush()?;
            socket.read(&mut self.buffer, &mut |out: &mut Outbox, news: News| {
                hear(who, out, news)
            })?;
            socket.flush()?;
        }
        Ok(())
    }
}
