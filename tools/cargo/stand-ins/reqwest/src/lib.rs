//! Stand-in for reqwest, with which cargo-leptos downloads missing tools.
//! `tools/setup.sh` puts them all on PATH first, so every request fails here.
use bytes::Bytes;

#[derive(Debug)]
pub struct Error;

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("this build of cargo-leptos downloads nothing: run `make setup`")
    }
}

impl std::error::Error for Error {}

pub type Result<T> = std::result::Result<T, Error>;

pub async fn get(_: impl AsRef<str>) -> Result<Response> {
    Err(Error)
}

pub enum Response {}

impl Response {
    pub fn status(&self) -> StatusCode {
        match *self {}
    }

    pub async fn bytes(self) -> Result<Bytes> {
        match self {}
    }

    pub async fn json<T>(self) -> Result<T> {
        match self {}
    }
}

pub enum StatusCode {}

impl StatusCode {
    pub fn is_success(&self) -> bool {
        match *self {}
    }
}

impl std::fmt::Display for StatusCode {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {}
    }
}

#[derive(Default)]
pub struct ClientBuilder;

impl ClientBuilder {
    pub fn user_agent(self, _: &str) -> Self {
        self
    }

    pub fn build(self) -> Result<Client> {
        Err(Error)
    }
}

#[derive(Default)]
pub struct Client;

impl Client {
    pub fn get(&self, _: impl AsRef<str>) -> RequestBuilder {
        RequestBuilder
    }
}

pub struct RequestBuilder;

impl RequestBuilder {
    pub async fn send(self) -> Result<Response> {
        Err(Error)
    }
}
