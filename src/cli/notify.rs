//! `duplex notify`: sends a notification through a server's ingest endpoint.

use std::error::Error;
use std::time::Duration;

use clap::{Args, ValueEnum};
use duplex::apps::notifications::server::request::{self, NoticeRequest, RequestText, Timestamp};
use duplex::apps::notifications::wire::INGEST_PATH;
use duplex::server::config::Config;
use duplex::wire::notice::Level;
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use serde::Deserialize;
use tokio::time::timeout;

use super::http::HttpError;
use super::output::out;
use super::remote::{Remote, Server};

/// Timeout of the whole request.
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub struct Notify {
    #[command(flatten)]
    remote: Remote,

    #[command(flatten)]
    to: RecipientArgs,

    /// Text below the title
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,

    /// Link target: a path of the site, or an http or https URL
    #[arg(long, value_name = "LINK")]
    link: Option<String>,

    /// Severity
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    level: Severity,

    /// Idempotency key: a notification sent again with the same key is delivered once
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Time after which it is no longer shown, such as 2030-01-31T09:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,

    /// Title (a single line)
    title: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct RecipientArgs {
    /// To everyone
    #[arg(long)]
    everyone: bool,

    /// Subscribers of this group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// To one visitor, by the id shown on their notifications page
    #[arg(long, value_name = "ID")]
    visitor: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Severity {
    Info,
    Success,
    Warning,
    Danger,
}

impl From<Severity> for Level {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Info => Self::Info,
            Severity::Success => Self::Success,
            Severity::Warning => Self::Warning,
            Severity::Danger => Self::Danger,
        }
    }
}

/// The server's response.
#[derive(Debug, Deserialize)]
struct Delivered {
    topic: String,
    seq: Seq,
    #[serde(rename = "again")]
    duplicate: bool,
}

impl Notify {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let server = self.remote.server(config)?;
        if server.token.is_none() {
            return Err(
                "pass the server's token with --token or DUPLEX_TOKEN; run `duplex token` on the server to print it"
                    .into(),
            );
        }
        out!("{}", super::block_on(async { Ok(send(&self, &server).await?) })?)?;
        Ok(())
    }
}

async fn send(notify: &Notify, server: &Server) -> Result<String, HttpError> {
    let body = serde_json::to_vec(&body(notify))?;
    let answer = timeout(TIMEOUT, server.post(INGEST_PATH, body)).await;
    let Delivered { topic, seq, duplicate } = answer.map_err(|_| HttpError::Timeout(server.authority.clone()))??;
    let again = if duplicate { " again" } else { "" };
    Ok(format!("{topic} {seq}{again}"))
}

fn body(notify: &Notify) -> NoticeRequest {
    let RecipientArgs { group, visitor, .. } = &notify.to;
    let to = match (group, visitor) {
        (Some(group), _) => request::Recipient::Group(group.clone()),
        (_, Some(visitor)) => request::Recipient::Visitor(PersonId(visitor.clone())),
        _ => request::Recipient::Everyone,
    };
    NoticeRequest {
        to,
        title: RequestText::Single(notify.title.clone()),
        body: notify.body.clone().map(RequestText::Single),
        link: notify.link.clone(),
        level: notify.level.into(),
        key: notify.key.clone(),
        expires: notify.expires.clone().map(Timestamp::Rfc3339),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use axum::http::StatusCode;
    use clap::Parser;
    use duplex::apps::server::Apps;
    use duplex::server::state::{ServerState, Settings};
    use duplex::server::token::Token;
    use duplex::server::{self, site};
    use duplex_hub::Hub;
    use duplex_hub::log::memory::MemoryLog;
    use duplex_protocol::cursor::Epoch;
    use serde_json::json;

    use super::*;

    const TOKEN: &str = "a-token-for-the-tests";

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        notify: Notify,
    }

    fn line(arguments: &[&str]) -> Line {
        Line::try_parse_from(["duplex"].iter().chain(arguments)).unwrap()
    }

    #[test]
    fn each_flag_is_a_field() {
        let parsed = line(&[
            "--group", "market", "--body", "b", "--link", "/x", "--level", "danger", "--key", "k", "t",
        ]);
        let expected = json!({ "to": { "group": "market" }, "title": "t", "body": "b", "link": "/x", "level": "danger", "key": "k" });
        let written = |line: &Line| serde_json::to_value(body(&line.notify)).unwrap();
        assert_eq!(written(&parsed), expected);
        assert_eq!(
            NoticeRequest::parse(&expected),
            Ok(body(&parsed.notify)),
            "the server reads the same"
        );
        let everyone = json!({ "to": "everyone", "title": "t", "level": "info" });
        assert_eq!(written(&line(&["--everyone", "t"])), everyone);
        assert!(Line::try_parse_from(["duplex", "t"]).is_err(), "to whom?");
        assert!(Line::try_parse_from(["duplex", "--everyone", "--group", "market", "t"]).is_err());
    }

    #[tokio::test]
    async fn a_server_accepts_it_or_rejects_it_with_a_reason() {
        let settings = Settings {
            token: Some(Token::new(TOKEN).unwrap()),
            ..Settings::default()
        };
        let apps = Arc::new(Apps::default());
        let hub = Hub::new(Arc::new(MemoryLog::new(Epoch::new(7))), apps.kinds());
        let options = site::options(Path::new("/nonexistent"), None, None);
        let state = ServerState::new(settings, options, hub, apps);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let shutdown = state.shutdown.clone();
        let running = tokio::spawn(server::run(listener, state));
        let notify_with = async |token: &str, arguments: &[&str]| {
            let arguments = [&["--url", &url, "--token", token], arguments].concat();
            let Line { config, notify } = line(&arguments);
            send(&notify, &notify.remote.server(&config).unwrap()).await
        };
        let known = ["--everyone", "--key", "k", "Hello"];
        assert_eq!(notify_with(TOKEN, &known).await.unwrap(), "notices/all 1");
        assert_eq!(notify_with(TOKEN, &known).await.unwrap(), "notices/all 1 again");
        let rejected = notify_with("another-token-than-that", &known).await;
        assert!(matches!(rejected, Err(HttpError::Unauthorized(_))), "{rejected:?}");
        let wrong = notify_with(TOKEN, &["--everyone", "--link", "x", "Hello"]).await;
        assert!(
            matches!(&wrong, Err(HttpError::Status(StatusCode::UNPROCESSABLE_ENTITY, why)) if why.contains("`link`")),
            "{wrong:?}"
        );
        shutdown.begin();
        running.await.unwrap();
    }
}
