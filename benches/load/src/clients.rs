//! Many WebSocket clients on one thread. It does not interpret their messages.

use crate::{
    Result,
    inflate::Inflater,
    socket::{Endpoint, Outbox, Socket, SocketEvent},
};
use mio::{Events, Interest, Poll, Token};
use std::{collections::HashMap, net::SocketAddr, time::Duration};

/// Larger than any frame.
const BUFFER: usize = 256 * 1024;

pub struct Clients {
    addr: SocketAddr,
    poll: Poll,
    events: Events,
    sockets: HashMap<usize, Socket>,
    buffer: Vec<u8>,
    inflater: Inflater,
}

impl Clients {
    pub fn new(addr: SocketAddr) -> Result<Self> {
        Ok(Self {
            addr,
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            sockets: HashMap::new(),
            buffer: vec![0; BUFFER],
            inflater: Inflater::default(),
        })
    }

    /// Starts a connection. It is open when [`SocketEvent::Opened`] is reported.
    pub fn connect(&mut self, id: usize, endpoint: &Endpoint) -> Result<()> {
        let mut socket = Socket::connect(self.addr, endpoint)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut socket.stream, Token(id), interest)?;
        self.sockets.insert(id, socket);
        Ok(())
    }

    /// Drops the connection without a close frame.
    pub fn disconnect(&mut self, id: usize) -> Result<()> {
        if let Some(mut socket) = self.sockets.remove(&id) {
            self.poll.registry().deregister(&mut socket.stream)?;
        }
        Ok(())
    }

    pub fn send(&mut self, id: usize, write: impl FnOnce(&mut Outbox)) -> Result<()> {
        let socket = self.sockets.get_mut(&id).ok_or("the sending client is not connected")?;
        write(&mut socket.out);
        socket.flush()
    }

    /// Waits until sockets are ready, and reads from them. Replies are sent in one write.
    pub fn poll(
        &mut self,
        timeout: Duration,
        mut on_event: impl FnMut(usize, &mut Outbox, SocketEvent) -> Result<()>,
    ) -> Result<()> {
        self.poll.poll(&mut self.events, Some(timeout))?;
        for event in &self.events {
            let Token(id) = event.token();
            let Some(socket) = self.sockets.get_mut(&id) else {
                continue;
            };
            if event.is_writable() {
                if let Some(error) = socket.stream.take_error()? {
                    return Err(format!("connection {id}: {error}").into());
                }
                socket.stream.set_nodelay(true)?;
            }
            socket.flush()?;
            let on_event = &mut |out: &mut Outbox, event: SocketEvent| on_event(id, out, event);
            socket.read(&mut self.buffer, &mut self.inflater, on_event)?;
            socket.flush()?;
        }
        Ok(())
    }
}
