//! Types of HAR 1.2, with Chrome's extension for WebSocket messages. <http://www.softwareishard.com/blog/har-12-spec/> Pure.

use serde::Serialize;

use duplex_protocol::handshake::without_trace;

#[derive(Serialize)]
pub struct Har<'a> {
    log: Log<'a>,
}

#[derive(Serialize)]
struct Log<'a> {
    version: &'static str,
    creator: Creator,
    pages: [(); 0],
    entries: Vec<Entry<'a>>,
}

#[derive(Serialize)]
struct Creator {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry<'a> {
    #[serde(rename = "startedDateTime")]
    pub started: String,
    /// Milliseconds.
    pub time: f64,
    pub request: Request<'a>,
    pub response: Response<'a>,
    pub cache: Cache,
    pub timings: Timings,
    #[serde(rename = "_resourceType", skip_serializing_if = "Option::is_none")]
    pub resource_type: Option<&'static str>,
    #[serde(rename = "_webSocketMessages", skip_serializing_if = "Option::is_none")]
    pub messages: Option<Vec<Message>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    pub method: &'a str,
    pub url: String,
    pub http_version: &'a str,
    pub headers: Vec<Header<'a>>,
    pub query_string: [(); 0],
    pub cookies: [(); 0],
    pub headers_size: i64,
    pub body_size: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_data: Option<PostData<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PostData<'a> {
    pub mime_type: &'static str,
    pub text: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response<'a> {
    pub status: u16,
    pub status_text: &'static str,
    pub http_version: &'a str,
    pub headers: Vec<Header<'a>>,
    pub cookies: [(); 0],
    pub content: Content,
    #[serde(rename = "redirectURL")]
    pub redirect_url: &'static str,
    pub headers_size: i64,
    pub body_size: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Content {
    pub size: usize,
    pub mime_type: &'static str,
    pub text: String,
}

#[derive(Serialize)]
pub struct Header<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

/// Always empty.
#[derive(Serialize)]
pub struct Cache {}

/// Milliseconds.
#[derive(Serialize)]
pub struct Timings {
    pub send: u32,
    pub wait: u32,
    pub receive: f64,
}

#[derive(Serialize)]
pub struct Message {
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Seconds since the Unix epoch.
    pub time: f64,
    pub opcode: u8,
    pub data: String,
}

/// HAR's value for an unknown size.
const UNKNOWN: i64 = -1;

impl<'a> Har<'a> {
    pub fn new(entries: Vec<Entry<'a>>) -> Self {
        let creator = Creator {
            name: "Duplex",
            version: env!("CARGO_PKG_VERSION"),
        };
        Self {
            log: Log {
                version: "1.2",
                creator,
                pages: [],
                entries,
            },
        }
    }
}

impl<'a> Request<'a> {
    /// A request without headers. Removes the trace id, the key to the server's record, from `url`.
    pub fn new(method: &'a str, url: &str, version: &'a str) -> Self {
        Self {
            method,
            url: without_trace(url).to_string(),
            http_version: version,
            headers: Vec::new(),
            query_string: [],
            cookies: [],
            headers_size: UNKNOWN,
            body_size: UNKNOWN,
            post_data: None,
        }
    }
}

impl<'a> Response<'a> {
    /// A response without headers.
    pub fn new(status: u16, version: &'a str, text: String, mime_type: &'static str) -> Self {
        Self {
            status,
            status_text: "",
            http_version: version,
            headers: Vec::new(),
            cookies: [],
            content: Content {
                size: text.len(),
                mime_type,
                text,
            },
            redirect_url: "",
            headers_size: UNKNOWN,
            body_size: UNKNOWN,
        }
    }
}
