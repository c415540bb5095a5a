//! HTTP requests to a server, each over its own connection.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::request::Builder;
use axum::http::{HeaderMap, Request, StatusCode, header};
use duplex::server::tls::{self, ByteStream, TlsError};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{InvalidDnsNameError, ServerName};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::remote::Server;

/// Timeout for the response head; long, because a backup is prepared before the response starts.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(600);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum response body in bytes that is read into memory.
const MAX_BODY: usize = 64 << 20;

#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("cannot connect to {0}: {1}")]
    Unreachable(String, io::Error),
    #[error("the certificate of {0} is not trusted: {1}")]
    Untrusted(String, io::Error),
    #[error("cannot load trusted authorities: {0}")]
    Tls(#[from] TlsError),
    #[error("{0} is not a valid name for a certificate")]
    InvalidServerName(String, #[source] InvalidDnsNameError),
    #[error("no response from {0} in time")]
    Timeout(String),
    #[error("the connection was lost: {0}")]
    ConnectionLost(#[from] hyper::Error),
    #[error("the response was cut off: {0}")]
    TruncatedBody(axum::Error),
    #[error("invalid request: {0}")]
    Request(#[from] axum::http::Error),
    #[error("{0} Create a token with `duplex token create` on the server and pass it with --token")]
    Unauthorized(String),
    #[error("{0}")]
    Forbidden(String),
    #[error("status {0}: {1}")]
    Status(StatusCode, String),
    #[error("unexpected response: {0}")]
    InvalidBody(#[from] serde_json::Error),
}

impl HttpError {
    /// Whether a retry may succeed. The failed request may already have taken effect.
    pub fn may_retry(&self) -> bool {
        match self {
            Self::Unreachable(..) | Self::Timeout(_) | Self::ConnectionLost(_) | Self::TruncatedBody(_) => true,
            Self::Status(status, _) => status.is_server_error(),
            Self::Untrusted(..) | Self::Tls(_) | Self::InvalidServerName(..) => false,
            Self::Request(_) | Self::Unauthorized(_) | Self::Forbidden(_) | Self::InvalidBody(_) => false,
        }
    }
}

impl Server {
    pub async fn connect(&self) -> Result<Box<dyn ByteStream>, HttpError> {
        let connected = timeout(CONNECT_TIMEOUT, self.dial()).await;
        connected.map_err(|_| HttpError::Timeout(self.authority.clone()))?
    }

    async fn dial(&self) -> Result<Box<dyn ByteStream>, HttpError> {
        let unreachable = |error| HttpError::Unreachable(self.authority.clone(), error);
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(unreachable)?;
        if !self.secure {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(self.host.clone());
        let name = name.map_err(|error| HttpError::InvalidServerName(self.host.clone(), error))?;
        let secured = TlsConnector::from(tls::client(None)?).connect(name, stream).await;
        match secured {
            Ok(stream) => Ok(Box::new(stream)),
            // rustls reports certificate errors with this kind; other kinds are connection errors.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(HttpError::Untrusted(self.authority.clone(), error))
            }
            Err(error) => Err(unreachable(error)),
        }
    }

    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, HttpError> {
        let (_, body) = self.request(Request::get(path), Vec::new()).await?;
        Ok(serde_json::from_slice(&read_body(body).await?)?)
    }

    pub async fn post<T: DeserializeOwned>(&self, path: &str, json: Vec<u8>) -> Result<T, HttpError> {
        let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
        let (_, body) = self.request(request, json).await?;
        Ok(serde_json::from_slice(&read_body(body).await?)?)
    }

    /// Sends a request. Returns the headers and body of a successful response.
    pub async fn request(&self, request: Builder, body: Vec<u8>) -> Result<(HeaderMap, Body), HttpError> {
        let mut request = request.header(header::HOST, &self.authority);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Body::from(body))?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect().await?)).await?;
        tokio::spawn(connection);
        let response = timeout(RESPONSE_TIMEOUT, sender.send_request(request)).await;
        let response = response.map_err(|_| HttpError::Timeout(self.authority.clone()))??;
        let (head, body): (_, Incoming) = response.into_parts();
        match head.status {
            status if status.is_success() => Ok((head.headers, Body::new(body))),
            status => {
                let text = read_body(Body::new(body)).await.unwrap_or_default();
                let detail = detail(&text);
                Err(match status {
                    StatusCode::UNAUTHORIZED => HttpError::Unauthorized(detail),
                    StatusCode::FORBIDDEN => HttpError::Forbidden(detail),
                    status => HttpError::Status(status, detail),
                })
            }
        }
    }
}

async fn read_body(body: Body) -> Result<Bytes, HttpError> {
    axum::body::to_bytes(body, MAX_BODY)
        .await
        .map_err(HttpError::TruncatedBody)
}

/// The member of a problem document (RFC 9457) that is displayed.
#[derive(serde::Deserialize)]
struct Problem {
    detail: String,
}

/// The detail of a problem document, or the body unchanged.
fn detail(text: &[u8]) -> String {
    match serde_json::from_slice(text) {
        Ok(Problem { detail }) => detail,
        Err(_) => String::from_utf8_lossy(text).into_owned(),
    }
}
