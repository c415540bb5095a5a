//! `duplex notify`: sends a notification to a server, this machine's or another one, as any program may.

use std::error::Error;
use std::time::Duration;

use clap::Args;
use duplex::server::config::Config;
use duplex::server::token;
use serde_json::{Map, Value, json};
use ureq::Agent;
use ureq::http::Uri;

const INLET: &str = "/api/notifications";
/// From the first look-up to the answer's last byte.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub struct Notify {
    /// The server, by http or https
    #[arg(
        long,
        env = "DUPLEX_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:3000"
    )]
    url: String,

    #[command(flatten)]
    to: To,

    /// More words, below the title
    #[arg(long, value_name = "TEXT")]
    body: Option<String>,

    /// Where it leads: a path of the site, or an http or https address
    #[arg(long, value_name = "LINK")]
    link: Option<String>,

    /// How much it matters
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = ["info", "success", "warning", "danger"])]
    level: String,

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

pub fn run(notify: &Notify, config: &Config) -> Result<(), Box<dyn Error>> {
    let token = token(notify, config)?;
    println!("{}", send(notify, &token)?);
    Ok(())
}

/// What is kept beside this machine's data is shown to this machine only.
fn token(notify: &Notify, config: &Config) -> Result<String, Box<dyn Error>> {
    let uri: Uri = notify
        .url
        .parse()
        .map_err(|error| format!("--url {:?}: {error}", notify.url))?;
    let here = matches!(uri.host(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if config.token.is_none() && !(here && token::path(&config.data).exists()) {
        return Err("show the server's token with --token or DUPLEX_TOKEN; `duplex token` prints it there".into());
    }
    Ok(config.token()?.as_str().to_owned())
}

fn send(notify: &Notify, token: &str) -> Result<String, Box<dyn Error>> {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        // A token is for whom it was meant.
        .max_redirects(0)
        .build()
        .into();
    let url = format!("{}{INLET}", notify.url.trim_end_matches('/'));
    let mut answer = agent
        .post(&url)
        .header("authorization", format!("Bearer {token}"))
        .content_type("application/json")
        .send(body(notify).to_string())
        .map_err(|error| format!("{url}: {error}"))?;
    let status = answer.status();
    let text = answer.body_mut().read_to_string()?;
    let said: Value = serde_json::from_str(&text).unwrap_or_default();
    if !status.is_success() {
        let detail = said["detail"].as_str().unwrap_or("the answer says no more");
        return Err(format!("{url} answered {status}: {detail}").into());
    }
    let again = if said["again"] == true { " again" } else { "" };
    let topic = said["topic"].as_str().unwrap_or_default();
    Ok(format!("{topic} {}{again}", said["seq"]))
}

fn body(notify: &Notify) -> Value {
    let To { group, visitor, .. } = &notify.to;
    let to = match (group, visitor) {
        (Some(group), _) => json!({ "group": group }),
        (_, Some(visitor)) => json!({ "visitor": visitor }),
        _ => json!("everyone"),
    };
    let mut fields = Map::from_iter([
        ("to".to_owned(), to),
        ("title".to_owned(), json!(notify.title)),
        ("level".to_owned(), json!(notify.level)),
    ]);
    for (name, value) in [
        ("body", &notify.body),
        ("link", &notify.link),
        ("key", &notify.key),
        ("expires", &notify.expires),
    ] {
        fields.extend(value.iter().map(|value| (name.to_owned(), json!(value))));
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use clap::Parser;
    use duplex::apps;
    use duplex::server::hub::Hub;
    use duplex::server::log::memory::Memory;
    use duplex::server::state::{ServerState, Settings};
    use duplex::server::token::Token;
    use duplex::server::{self, site};
    use duplex::wire::cursor::Epoch;

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
        assert_eq!(body(&said.notify), expected);
        assert_eq!(body(&line(&["--everyone", "t"]).notify)["to"], "everyone");
        assert!(Line::try_parse_from(["duplex", "t"]).is_err(), "to whom?");
        assert!(Line::try_parse_from(["duplex", "--everyone", "--group", "market", "t"]).is_err());
    }

    #[test]
    fn a_kept_token_stays_on_its_machine() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("duplex.db");
        let data = data.to_str().unwrap();
        let found = |url: &str, more: &[&str]| {
            let arguments = [&["--url", url, "--data", data, "--everyone", "t"], more].concat();
            let Line { config, notify } = line(&arguments);
            token(&notify, &config).ok()
        };
        let here = "http://127.0.0.1:3000";
        assert_eq!(found(here, &[]), None, "none is made by asking");
        let kept = Token::kept(Path::new(data)).unwrap();
        assert_eq!(found(here, &[]).as_deref(), Some(kept.as_str()));
        assert_eq!(found("https://duplex.example", &[]), None);
        let chosen = found("https://duplex.example", &["--token", TOKEN]);
        assert_eq!(chosen.as_deref(), Some(TOKEN));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_server_takes_it_or_says_why_not() {
        let settings = Settings {
            token: Some(Token::new(TOKEN).unwrap()),
            ..Settings::default()
        };
        let hub = Hub::new(Arc::new(Memory::new(Epoch::new(7))), apps::server::kinds());
        let options = site::options(Path::new("/nonexistent"), None, None);
        let state = ServerState::new(settings, options, hub);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let shutdown = state.shutdown.clone();
        let running = tokio::spawn(server::run(listener, state));
        let said = tokio::task::spawn_blocking(move || {
            let say = |token: &str, arguments: &[&str]| {
                let arguments = [&["--url", &url], arguments].concat();
                send(&line(&arguments).notify, token).map_err(|error| error.to_string())
            };
            let known = ["--everyone", "--key", "k", "Hello"];
            [
                say(TOKEN, &known),
                say(TOKEN, &known),
                say("another-token-than-that", &known),
                say(TOKEN, &["--everyone", "--link", "x", "Hello"]),
            ]
        })
        .await
        .unwrap();
        assert_eq!(said[0].as_deref(), Ok("notices/all 1"));
        assert_eq!(said[1].as_deref(), Ok("notices/all 1 again"));
        assert!(said[2].as_ref().is_err_and(|error| error.contains("401")), "{said:?}");
        assert!(
            said[3]
                .as_ref()
                .is_err_and(|error| error.contains("422") && error.contains("`link`")),
            "{said:?}"
        );
        shutdown.begin();
        running.await.unwrap();
    }
}
