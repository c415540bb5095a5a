//! The server side of a real-time app on Axum: sessions over WebSocket, server-sent events and long polling.
//!
//! A **topic** is an event log on the server; folding its events yields the state. A [`Hub`](duplex_hub::Hub) runs the topics. This
//! crate connects clients to them: [`routes`] for any Axum router, the app's own authentication behind
//! [`Identify`](identity::Identify), limits on every resource that a client may hold, and a [`Server`](listen::Server) that drains
//! on shutdown.
//!
//! ```no_run
//! use std::collections::HashMap;
//! use std::error::Error;
//! use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
//!
//! use axum::Router;
//! use axum::extract::State;
//! use axum::http::{HeaderMap, StatusCode};
//! use axum::routing::post;
//! use duplex_axum::error::Problem;
//! use duplex_axum::identity::{Caller, Identify, IdentityRequest, LoginEnd, RevocableLogin, cookie};
//! use duplex_axum::listen::{self, Server};
//! use duplex_axum::{Gateway, Settings, middleware};
//! use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal};
//! use duplex_hub::log::memory::MemoryLog;
//! use duplex_hub::{Hub, dyn_topic};
//! use duplex_protocol::cursor::{Epoch, Seq};
//! use duplex_protocol::person::Person;
//! use duplex_protocol::session::{Denial, Rejection};
//! use duplex_protocol::topic::{Topic, TopicName};
//!
//! // model.rs: the same on the server and in the browser.
//! pub struct Tally;
//!
//! impl Topic for Tally {
//!     const KIND: &'static str = "tally";
//!     type Command = u32; // the amount to add
//!     type Event = u32; // the amount that was added
//!     type State = u64;
//!
//!     fn apply(total: &mut u64, _seq: Seq, added: &u32) {
//!         *total = total.saturating_add(u64::from(*added));
//!     }
//! }
//!
//! // server.rs: access, and the effect of a command.
//! impl Decider for Tally {
//!     type ServerCommand = NoCommand;
//!
//!     fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denial> {
//!         Ok(Access::Write)
//!     }
//!
//!     fn decide(&self, _context: Context<'_>, _total: &u64, add: u32) -> Result<Vec<u32>, Rejection> {
//!         match add {
//!             1..=10 => Ok(vec![add]),
//!             _ => Err(Rejection::custom("one_to_ten")),
//!         }
//!     }
//! }
//!
//! // login.rs: the app's sign-in stores its users here, by the secret in their cookie.
//! #[derive(Clone, Default)]
//! pub struct Logins(Arc<Mutex<HashMap<String, (Person, RevocableLogin)>>>);
//!
//! impl Logins {
//!     fn lock(&self) -> MutexGuard<'_, HashMap<String, (Person, RevocableLogin)>> {
//!         self.0.lock().unwrap_or_else(PoisonError::into_inner)
//!     }
//! }
//!
//! impl Identify for Logins {
//!     async fn identify(&self, request: IdentityRequest<'_>) -> Result<Caller, Problem> {
//!         let logins = self.lock();
//!         let known = cookie(request.headers, "login").and_then(|secret| logins.get(secret));
//!         match known {
//!             Some((person, login)) => Ok(Caller::visitor(person.clone()).with_login(login.clone())),
//!             None => Err(Problem::new(StatusCode::UNAUTHORIZED, "Sign in first.")),
//!         }
//!     }
//! }
//!
//! /// `POST /sign-out`: ends the user's live sessions, too.
//! async fn sign_out(State(logins): State<Logins>, headers: HeaderMap) -> StatusCode {
//!     if let Some((_, login)) = cookie(&headers, "login").and_then(|secret| logins.lock().remove(secret)) {
//!         login.end(LoginEnd::signed_out("signed out"));
//!     }
//!     StatusCode::NO_CONTENT
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn Error>> {
//!     let (log, logins) = (MemoryLog::new(Epoch::new(1)), Logins::default());
//!     let hub = Hub::new(Arc::new(log), vec![dyn_topic(Tally)]);
//!     let gateway = Gateway::new(hub, Settings::default(), logins.clone());
//!     let router = Router::new()
//!         .route("/sign-out", post(sign_out).with_state(logins))
//!         .merge(duplex_axum::routes(gateway.clone()));
//!     let router = middleware::protect(router, &gateway);
//!
//!     let listener = listen::bind("127.0.0.1:3000".parse()?)?;
//!     gateway.shutdown.begin_on_signal()?;
//!     Server::new(router, gateway).serve(listener).await;
//!     Ok(())
//! }
//! ```
//!
//! | module | content |
//! | --- | --- |
//! | crate root | [`Gateway`], the state of a node; its [`Settings`]; [`routes`], the routes of sessions |
//! | [`identity`] | [`Identify`](identity::Identify), authentication, and the lifetime of a login |
//! | [`listen`] | [`Server`](listen::Server), [`Tls`](listen::Tls), addresses |
//! | [`middleware`] | hosts, origins, quotas, bodies |
//! | [`shutdown`] | the shutdown signal, and the tasks that it waits for |
//! | [`error`] | [`Problem`](error::Problem), the shape of every error response |
//! | [`ingest`] | endpoints where programs post JSON that becomes commands |
//! | [`websocket`], [`endpoint`] | WebSocket endpoints that the app defines: stateful, and stateless (message by message) |
//! | [`simulation`] | transports of simulations |
//! | [`client_addr`], [`origin`], [`quota`] | a request's client address, origin and quota |
//! | [`connection`] | counters, the budget of buffered bytes, observers |
//! | [`health`] | health checks |
//! | [`limits`] | every limit that is not a setting |
//!
//! # Responsibilities of the app
//!
//! - **Wrap the router in [`middleware::protect`]**, or in the same functions one by one. Without them, a page of any origin could
//!   use the sessions of its visitors.
//! - **Serve with [`Server`](listen::Server)**, which enforces the [limits] of connections. [`axum::serve()`] has none of them.
//! - **Begin the shutdown**, with [`Shutdown::begin_on_signal`](shutdown::Shutdown::begin_on_signal) or
//!   [`Shutdown::begin`](shutdown::Shutdown::begin). The server then stops accepting, tells each client when to reconnect, spread
//!   over 4 s, waits for the connections, and closes the log. A killed process loses no accepted command, but its clients are not
//!   told when to reconnect.
//! - **Behind a proxy, set** [`Settings::public_url`] and [`Settings::trusted_proxies`]. Otherwise all clients share the proxy's
//!   address and its quota.
//! - **Raise the limit of open files**: each connection uses a file descriptor.
//!
//! # How connections end
//!
//! | cause | WebSocket | event stream, poll | client |
//! | --- | --- | --- | --- |
//! | shutdown | `closing: draining`, 1012 | `closing: draining` | reconnects |
//! | the login ended | `closing: ended`, 4502 | `closing: ended` | stops |
//! | a ban | `closing: banned`, 4504 | `closing: banned` | stops |
//! | [`Identify`](identity::Identify) rejects | its response, such as 401 | the same | follows its transport policy |
//! | reads nothing for 20 s (fallbacks: 30 s) | 4000 | aborted | reconnects, resumes |
//! | sends nothing for 32 s | 3008 | `closing: slow` | reconnects, resumes |
//! | too many frames | `closing: too_fast`, 4001 | 429 | reconnects |
//! | malformed frame | `closing: malformed`, 4500 | 400 | stops |
//! | holds the largest share of the exhausted buffer budget | 1013, or aborted | aborted | reconnects |
//!
//! [`duplex_protocol::session`] defines the `closing` frame, [`duplex_protocol::code`] the codes.

pub mod client_addr;
pub mod connection;
pub mod endpoint;
pub mod error;
mod forwarded;
#[cfg(test)]
mod fuzz_tests;
mod gateway;
pub mod health;
mod host;
pub mod identity;
pub mod ingest;
pub mod limits;
pub mod listen;
mod lock;
pub mod middleware;
pub mod origin;
mod page;
pub mod quota;
mod rejection;
pub mod shutdown;
pub mod simulation;
mod suspend_aware;
mod transport;
pub mod websocket;

pub use self::gateway::{Gateway, GatewayInner, Settings};
pub use self::page::PageVisitor;
pub use self::transport::routes;
