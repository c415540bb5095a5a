//! A WebSocket load generator on one thread. It knows only the servers' messages (`server.rs`), an address, and a process id, whose CPU
//! and memory it reads from /proc. It prints one JSON object on stdout.
//!
//!     load echo addr=127.0.0.1:3000 path=/api/echo pid=42 connections=64 in_flight=16 size=125 warmup=2 seconds=3
//!     load idle addr=127.0.0.1:3000 path=/api/echo pid=42 connections=5000 size=125 collect=0
//!     load disk path=/some/file seconds=1
//!     load commands addr=127.0.0.1:3000 pid=42 sessions=64 in_flight=16 topics=100 warmup=2 seconds=3
//!     load fanout server=duplex addr=127.0.0.1:3000 pid=42 members=1000 window=64 warmup=2 seconds=3 rate=20000 paced=5 deflate=0
//!     load resume server=duplex addr=127.0.0.1:3000 pid=42 members=2000 events=50
//!     load members server=duplex addr=127.0.0.1:3000 pid=42 members=5000 collect=0
//!     load state server=duplex addr=127.0.0.1:3000 messages=20 deflate=0
//!     load arena addr=127.0.0.1:3000 pid=42 viewers=50 warmup=2 seconds=5
//!
//! `server`: duplex, postcard (Duplex with postcard), ws, socketio.

mod arena;
mod args;
mod clients;
mod commands;
mod disk;
mod echo;
mod echo_client;
mod fanout;
mod fanout_room;
mod inflate;
mod latency;
mod members;
mod process;
mod resume;
mod server;
mod socket;
mod state;

use args::Args;
use std::error::Error;

pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mode = args.next().unwrap_or_default();
    let args = Args::parse(args);
    match mode.as_str() {
        "echo" => echo::echo(&args),
        "idle" => echo::idle(&args),
        "disk" => disk::disk(&args),
        "commands" => commands::commands(&args),
        "fanout" => fanout::fanout(&args),
        "resume" => resume::resume(&args),
        "members" => members::members(&args),
        "state" => state::state(&args),
        "arena" => arena::arena(&args),
        _ => Err(
            "usage: load echo|idle|disk|commands|fanout|resume|members|state|arena key=value ... (see the head of main.rs)"
                .into(),
        ),
    }
}
