//! Enforcement of the moderation rules: rejects requests of banned visitors on every route, ends their open connections, applies
//! assigned names and closes topics permanently.

mod bans;
mod decider;
mod page;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{Extensions, HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::Response;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

pub use self::bans::{Bans, Subject};
pub use self::decider::Moderator;
use super::access::Grant;
pub use super::identity::FallbackIdentity;
use super::names::Names;
use super::state::ServerState;
use super::{identity, limits};
use crate::apps::server::Apps;
use crate::wire::moderation::{ALL, Ban, Moderation, Rules};
use duplex_axum::client_addr::ClientAddr;
use duplex_hub::{Hub, Wake};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::Person;
use duplex_protocol::session::{CommandId, Denial, SessionId};
use duplex_protocol::topic::TopicName;

/// The active bans, shared by all requests of a node.
#[derive(Debug, Default)]
pub struct ActiveBans {
    bans: watch::Sender<Arc<Bans>>,
}

impl ActiveBans {
    pub fn find(&self, subject: &Subject) -> Option<Ban> {
        self.bans.borrow().find(subject, duplex_hub::now()).cloned()
    }

    /// Completes when this subject is banned, or at once if it already is. Cancel safe.
    pub async fn banned(&self, subject: &Subject) -> Ban {
        let mut changes = self.bans.subscribe();
        loop {
            if let Some(ban) = changes.borrow_and_update().find(subject, duplex_hub::now()) {
                return ban.clone();
            }
            if changes.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Notified after each change of the rules, including names.
    pub fn changes(&self) -> watch::Receiver<Arc<Bans>> {
        self.bans.subscribe()
    }
}

impl Subject {
    pub fn from_request(
        state: &ServerState,
        headers: &HeaderMap,
        extensions: &Extensions,
        fallback: FallbackIdentity<'_>,
    ) -> Self {
        let person = identity::person(state, &Grant::from_extensions(extensions), headers, fallback);
        Self::for_person(extensions, &person)
    }

    pub fn for_person(extensions: &Extensions, person: &Person) -> Self {
        Self {
            person: Some(person.id.clone()),
            address: extensions.get().map(|ClientAddr(address)| *address),
            is_operator: Grant::from_extensions(extensions).is_operator(),
        }
    }
}

/// Loads the rules and spawns the task that keeps them up to date. Completes when they are loaded; do not serve before.
pub async fn load_rules(state: &ServerState) {
    let Ok(topic) = TopicName::of::<Moderation>(ALL) else {
        return;
    };
    let (loaded, mut is_loaded) = watch::channel(false);
    let follower = RulesFollower {
        hub: state.hub.clone(),
        names: Arc::clone(&state.names),
        active_bans: Arc::clone(&state.moderation),
        apps: Arc::clone(&state.apps),
        topic,
        loaded,
    };
    let shutdown = state.shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = shutdown.begun() => {}
            () = follower.run() => {}
        }
    });
    // If there is no moderation topic, the sender is dropped, which ends the wait.
    let waited = timeout(limits::RULES_LOAD_TIMEOUT, is_loaded.wait_for(|loaded| *loaded)).await;
    if waited.is_err() {
        tracing::error!("the bans could not be loaded in time and are not enforced until they are");
    }
}

struct RulesFollower {
    hub: Hub,
    names: Arc<Names>,
    active_bans: Arc<ActiveBans>,
    apps: Arc<Apps>,
    topic: TopicName,
    loaded: watch::Sender<bool>,
}

impl RulesFollower {
    async fn run(self) {
        loop {
            match self.follow().await {
                Err(Denial::Unknown) => return tracing::debug!("this node has no moderation topic"),
                Err(denial) => tracing::warn!("cannot subscribe to the moderation topic: {denial}"),
                Ok(never) => match never {},
            }
            sleep(limits::LOG_RETRY).await;
        }
    }

    async fn follow(&self) -> Result<std::convert::Infallible, Denial> {
        let handle = self.hub.open(&self.topic).await?;
        let wake = Wake::new();
        let session = SessionId("moderation".to_owned());
        let _subscription = handle.subscribe_as_server(session, Arc::clone(&wake));
        loop {
            let (cursor, state) = handle.state(Encoding::Json).await?;
            let rules = state.decode(Encoding::Json);
            let rules: Rules = rules.map_err(|error| {
                tracing::error!("cannot decode the moderation rules: {error}");
                Denial::Unavailable
            })?;
            self.enforce(&rules).await;
            self.loaded.send_replace(true);
            self.close(&rules, cursor.seq).await;
            wake.woken().await;
        }
    }

    async fn enforce(&self, rules: &Rules) {
        let names = rules.names.iter();
        self.names
            .set_assigned(names.map(|(id, name)| (id.clone(), name.clone())).collect());
        self.hub.close_topics(&rules.closed);
        self.active_bans.bans.send_replace(Arc::new(Bans::from_rules(rules)));
    }

    /// Erases closed topics. Also runs at each start, in case the node stopped after the rule was recorded and before it was
    /// applied.
    async fn close(&self, rules: &Rules, seq: Seq) {
        for topic in &rules.closed {
            if !self.hub.is_redacted(topic) {
                let commands = self.apps.closing_commands(topic).unwrap_or_default();
                let id = |index: u128| CommandId::without_time(u128::from(seq) << 8 | index);
                let commands = (0..)
                    .zip(commands)
                    .map(|(index, command)| (id(index), command))
                    .collect();
                self.hub.redact_closed(topic, commands).await;
            }
        }
    }
}

/// Middleware that rejects requests of banned visitors, and aborts a request whose visitor is banned while it runs.
pub async fn reject_banned(State(state): State<ServerState>, request: Request, next: Next) -> Response {
    if is_exempt(request.uri()) {
        return next.run(request).await;
    }
    let fallback = match session_of(request.uri()) {
        "" => FallbackIdentity::New,
        session => FallbackIdentity::Session(session),
    };
    let subject = Subject::from_request(&state, request.headers(), request.extensions(), fallback);
    let format = page::ResponseFormat::negotiate(request.uri().path(), request.headers());
    if let Some(ban) = state.moderation.find(&subject) {
        state
            .counters
            .count_disconnect(duplex_axum::connection::DisconnectReason::Banned);
        tracing::debug!("rejected: {subject:?} is banned");
        return format.response(&ban);
    }
    tokio::select! {
        biased;
        response = next.run(request) => response,
        ban = state.moderation.banned(&subject) => format.response(&ban),
    }
}

/// Paths that are exempt from bans: a banned operator must be able to sign in, and monitoring must work. These routes check access
/// themselves.
fn is_exempt(uri: &Uri) -> bool {
    let path = uri.path();
    let is_file = path.starts_with("/pkg/") || matches!(path, "/favicon.svg" | "/favicon.ico" | "/robots.txt");
    is_file || matches!(path, "/healthz" | "/readyz" | "/metrics" | "/status") || path.starts_with("/api/operator/")
}

/// The session id in the query of a fallback request or a simulation's request, which identifies a visitor without a cookie.
fn session_of(uri: &Uri) -> &str {
    let pairs = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='));
    let mut named = pairs.filter(|(name, _)| matches!(*name, "session" | "seat"));
    named.next().map_or("", |(_, value)| value)
}
