//! `duplex notify`: sends a notification to a server, this machine's or another one, as any program may.

use std::error::Error;
use std::time::Duration;

use clap::{Args, ValueEnum};
use duplex::apps::notifications::server::posted::{self, PostedNotice, Text, Time};
use duplex::apps::notifications::wire::INLET;
use duplex::server::config::Config;
use duplex::wire::notice::Level;
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use serde::Deserialize;
use tokio::time::timeout;

use super::http::HttpError;
use super::output::out;
use super::remote::{Remote, Server};

/// From the first look-up to the answer's last byte.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub struct Notify {
    #[command(flatten)]
    remote: Remote,

    #[command(flatten)]
    to: To,

    /// More words, below the title
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,

    /// Where it leads: a path of the site, or an http or https address
    #[arg(long, value_name = "LINK")]
    link: Option<String>,

    /// How much it matters
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    level: Importance,

    /// Sent again with the same key, it comes once
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// After this time it is of no use: 2030-01-31T09:00:00Z
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,

    /// What it says in one line
    title: String,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct To {
    /// To everyone
    #[arg(long)]
    everyone: bool,

    /// To those who follow this group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,

    /// To one visitor; the page of notifications shows each visitor their own id
    #[arg(long, value_name = "ID")]
    visitor: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Importance {
    Info,
    Success,
    Warning,
    Danger,
}

impl From<Importance> for Level {
    fn from(importance: Importance) -> Self {
        match importance {
            Importance::Info => Self::Info,
            Importance::Success => Self::Success,
            Importance::Warning => Self::Warning,
            Importance::Danger => Self::Danger,
        }
    }
}

/// What the server answers.
#[derive(Debug, Deserialize)]
struct Done {
    topic: String,
    seq: Seq,
    again: bool,
}

impl Notify {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let server = self.remote.server(config)?;
        if server.token.is_none() {
            return Err("show the server's token with --token or DUPLEX_TOKEN; `duplex token` prints it there".into());
        }
        out!("{}", super::block_on(async { Ok(send(&self, &server).await?) })?)?;
        Ok(())
    }
}

async fn send(notify: &Notify, server: &Server) -> Result<String, HttpError> {
    let body = serde_json::to_vec(&body(notify))?;
    let answer = timeout(PATIENCE, server.post(INLET, body)).await;
    let Done { topic, seq, again } = answer.map_err(|_| HttpError::Slow(server.authority.clone()))??;
    let again = if again { " again" } else { "" };
    Ok(format!("{topic} {seq}{again}"))
}

fn body(notify: &Notify) -> PostedNotice {
    let To { group, visitor, .. } = &notify.to;
    let to = match (group, visitor) {
        (Some(group), _) => posted::To::Group(group.clone()),
        (_, Some(visitor)) => posted::To::Visitor(PersonId(visitor.clone())),
        _ => posted::To::Everyone,
    };
    PostedNotice {
        to,
        title: Text::Same(notify.title.clone()),
        body: notify.body.clone().map(Text::Same),
        link: notify.link.clone(),
        level: notify.level.into(),
        key: notify.key.clone(),
        expires: notify.expires.clone().map(Time::Text),
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
    use duplex_hub::log::memory::Memory;
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
        let said = line(&[
            "--group", "market", "--body", "b", "--link", "/x", "--level", "danger", "--key", "k", "t",
        ]);
        let expected = json!({ "to": { "group": "market" }, "title": "t", "body": "b", "link": "/x", "level": "danger", "key": "k" });
        let written = |line: &Line| serde_json::to_value(body(&line.notify)).unwrap();
        assert_eq!(written(&said), expected);
        assert_eq!(
            PostedNotice::read(&expected),
            Ok(body(&said.notify)),
            "the server reads the same"
        );
        let everyone = json!({ "to": "everyone", "title": "t", "level": "info" });
        assert_eq!(written(&line(&["--everyone", "t"])), everyone);
        assert!(Line::try_parse_from(["duplex", "t"]).is_err(), "to whom?");
        assert!(Line::try_parse_from(["duplex", "--everyone", "--group", "market", "t"]).is_err());
    }

    #[tokio::test]
    async fn a_server_takes_it_or_says_why_not() {
        let settings = Settings {
            token: Some(Token::new(TOKEN).unwrap()),
            ..Settings::default()
        };
        let apps = Arc::new(Apps::default());
        let hub = Hub::new(Arc::new(Memory::new(Epoch::new(7))), apps.kinds());
        let options = site::options(Path::new("/nonexistent"), None, None);
        let state = ServerState::new(settings, options, hub, apps);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let shutdown = state.shutdown.clone();
        let running = tokio::spawn(server::run(listener, state));
        let say = async |token: &str, arguments: &[&str]| {
            let arguments = [&["--url", &url, "--token", token], arguments].concat();
            let Line { config, notify } = line(&arguments);
            send(&notify, &notify.remote.server(&config).unwrap()).await
        };
        let known = ["--everyone", "--key", "k", "Hello"];
        assert_eq!(say(TOKEN, &known).await.unwrap(), "notices/all 1");
        assert_eq!(say(TOKEN, &known).await.unwrap(), "notices/all 1 again");
        let refused = say("another-token-than-that", &known).await;
        assert!(matches!(refused, Err(HttpError::Unauthorized(_))), "{refused:?}");
        let wrong = say(TOKEN, &["--everyone", "--link", "x", "Hello"]).await;
        assert!(
            matches!(&wrong, Err(HttpError::Status(StatusCode::UNPROCESSABLE_ENTITY, why)) if why.contains("`link`")),
            "{wrong:?}"
        );
        shutdown.begin();
        running.await.unwrap();
    }
}
