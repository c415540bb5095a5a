//! The server from outside: the real router over real connections, and the rules of the source tree.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on has failed")]

mod access;
mod addresses;
mod arena;
mod attacks;
mod behaviour;
mod cli;
mod closing;
mod command_ids;
mod devices;
mod document_shape;
mod doors;
mod faults;
mod files;
mod harness;
mod hostile_texts;
mod http2;
mod https;
mod identity;
mod ids;
mod json;
mod kill;
mod log;
mod market;
mod moderation;
mod mqtt;
mod notifications;
mod operator;
mod output;
mod outside;
mod pages;
mod proxies;
mod quotas;
mod records;
mod security;
mod shutdown;
mod signals;
mod silence;
mod simulation;
mod sockets;
mod storage;
mod tidy;
mod wire_bytes;
