//! Connections to the database: TLS, the session's settings, and a pause between failed attempts.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tokio_postgres::{AsyncMessage, Client, NoTls, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::config::{PostgresConfig, TlsMode};
use super::error::Failure;
use crate::limits::postgres as limits;
use crate::lock;

/// Error of preparing TLS.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The file of `sslrootcert` cannot be read.
    #[error("sslrootcert cannot be read: {0}")]
    File(#[from] rustls::pki_types::pem::Error),
    /// There is no certificate of an authority.
    #[error("there is no usable certificate of an authority; sslrootcert=FILE names one")]
    NoAuthority,
    /// TLS cannot be configured.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// Connects to the database of a [`PostgresConfig`].
pub(super) struct Connector {
    config: PostgresConfig,
    tls: Option<MakeRustlsConnect>,
    /// The pause after failed attempts, shared by all connections.
    pause: Mutex<Pause>,
}

/// No attempt is made until `until`.
#[derive(Default)]
struct Pause {
    failures: u32,
    until: Option<Instant>,
    cause: String,
}

/// An open connection and its prepared statements. It must not be used after a failure: the session may be within a transaction.
pub(super) struct Connection {
    pub client: Client,
    statements: HashMap<&'static str, Statement>,
}

impl Connector {
    /// Reads the authorities' certificates. Blocks briefly.
    pub(super) fn new(config: PostgresConfig) -> Result<Self, TlsError> {
        let tls = match &config.tls {
            TlsMode::Disabled => None,
            TlsMode::Verified { authorities: None } => Some(rustls_native_certs::load_native_certs().certs),
            TlsMode::Verified {
                authorities: Some(file),
            } => Some(CertificateDer::pem_file_iter(file)?.collect::<Result<_, _>>()?),
        };
        Ok(Self {
            tls: tls.map(tls_client).transpose()?.map(MakeRustlsConnect::new),
            config,
            pause: Mutex::default(),
        })
    }

    /// Opens a connection whose session has the timeouts of this crate and commits synchronously. Fails without an attempt within the
    /// pause after a failed one.
    pub(super) async fn connect(&self) -> Result<Connection, Failure> {
        if let Some(cause) = self.paused() {
            return Err(Failure::Paused(cause));
        }
        let connected = timeout(limits::ANSWER_TIMEOUT, self.try_connect());
        let connected = connected.await.unwrap_or(Err(Failure::NoAnswer));
        let mut pause = lock::lock(&self.pause);
        match &connected {
            Ok(_) => *pause = Pause::default(),
            Err(error) => pause.fail(error),
        }
        connected
    }

    /// Opens a connection that receives notifications. It is closed when the receiver is dropped, and the receiver is closed with it.
    pub(super) async fn connect_listening(&self) -> Result<(Client, mpsc::Receiver<String>), Failure> {
        let (sender, receiver) = mpsc::channel(limits::NOTIFICATIONS);
        let connected = timeout(limits::ANSWER_TIMEOUT, self.open(Some(sender))).await;
        Ok((connected.unwrap_or(Err(Failure::NoAnswer))?, receiver))
    }

    fn paused(&self) -> Option<String> {
        let pause = lock::lock(&self.pause);
        let is_paused = pause.until.is_some_and(|until| Instant::now() < until);
        is_paused.then(|| pause.cause.clone())
    }

    async fn try_connect(&self) -> Result<Connection, Failure> {
        let client = self.open(None).await?;
        client.batch_execute(&session_settings()).await?;
        Ok(Connection {
            client,
            statements: HashMap::new(),
        })
    }

    /// Opens a connection, which a task drives.
    async fn open(&self, notifications: Option<mpsc::Sender<String>>) -> Result<Client, Failure> {
        Ok(match &self.tls {
            None => {
                let (client, connection) = self.config.client.connect(NoTls).await?;
                tokio::spawn(run(connection, notifications));
                client
            }
            Some(tls) => {
                let (client, connection) = self.config.client.connect(tls.clone()).await?;
                tokio::spawn(run(connection, notifications));
                client
            }
        })
    }
}

impl Pause {
    fn fail(&mut self, error: &Failure) {
        let factor = 1_u32 << self.failures.min(10);
        let pause = limits::RECONNECT_PAUSE.saturating_mul(factor);
        self.until = Some(Instant::now() + pause.min(limits::RECONNECT_PAUSE_MAX));
        self.failures = self.failures.saturating_add(1);
        self.cause = error.to_string();
    }
}

/// Drives a connection until it is closed, or until the receiver of its notifications is dropped. Its failures reach the callers of
/// the client, too.
async fn run<S, T>(mut connection: tokio_postgres::Connection<S, T>, notifications: Option<mpsc::Sender<String>>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match (message, &notifications) {
            (Ok(AsyncMessage::Notification(notification)), Some(receiver)) => {
                if receiver.send(notification.payload().to_owned()).await.is_err() {
                    return;
                }
            }
            (Ok(_), _) => {}
            (Err(error), _) => {
                return tracing::debug!("a connection to the database ended: {}", Failure::from(error));
            }
        }
    }
}

/// `synchronous_commit` is only raised: an operator may demand more than `on`, but a commit that is not on the disk is not durable.
fn session_settings() -> String {
    let millis = |timeout: Duration| timeout.as_millis();
    format!(
        "SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {};
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'",
        millis(limits::STATEMENT_TIMEOUT),
        millis(limits::LOCK_TIMEOUT),
        millis(limits::IDLE_TRANSACTION_TIMEOUT),
    )
}

fn tls_client(authorities: Vec<CertificateDer<'static>>) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    // The system's store may contain certificates that rustls cannot parse.
    roots.add_parsable_certificates(authorities);
    if roots.is_empty() {
        return Err(TlsError::NoAuthority);
    }
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(client)
}

impl Connection {
    /// Prepares a statement, once per connection.
    pub(super) async fn prepare(&mut self, sql: &'static str) -> Result<Statement, tokio_postgres::Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await?;
        self.statements.insert(sql, statement.clone());
        Ok(statement)
    }
}
