//! `duplex send`: sends a command and retries with the same id until it is answered, so it takes effect once.

use std::error::Error;
use std::time::Duration;

use duplex::server::config::Config;
use duplex_leptos::reconnect::Backoff;
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::session::{Answer, COMMAND_PATH, ClientFrame, CommandId, ServerFrame};
use duplex_protocol::topic::TopicName;

use super::ExitError;
use super::http::HttpError;
use super::output::{self, err, out};
use super::remote::{Remote, Server};

/// Maximum delay between two attempts.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// Default limit of attempts.
pub const DEFAULT_ATTEMPTS: u32 = 8;

const NO_ANSWER: u8 = 2;
const REJECTED: u8 = 1;

#[derive(Debug, clap::Args)]
pub struct Send {
    /// Topic, such as chat/lobby
    topic: TopicName,

    /// Command as JSON, such as '{"post":{"text":"hello","reply_to":null}}'
    #[arg(value_name = "JSON", value_parser = json)]
    command: serde_json::Value,

    /// Command id, 32 hexadecimal digits: retries with the same id take effect once [default: random]
    #[arg(long, value_parser = id)]
    id: Option<CommandId>,

    /// Number of attempts before giving up
    #[arg(long, value_name = "COUNT", default_value_t = DEFAULT_ATTEMPTS)]
    attempts: u32,

    #[command(flatten)]
    remote: Remote,
}

fn json(text: &str) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::from_str(text)
}

fn id(text: &str) -> Result<CommandId, duplex_protocol::session::ParseCommandIdError> {
    CommandId::try_from(text.to_owned())
}

impl Send {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let server = self.remote.server(config)?;
        let id = self
            .id
            .unwrap_or_else(|| CommandId::from_bits(uuid::Uuid::new_v4().as_u128()));
        let command = EncodedValue(self.command.to_string().into_bytes());
        super::block_on(send_and_print(&server, self.topic, id, command, self.attempts))
    }
}

/// Posts a command until it is answered, and prints the answer.
pub async fn send_and_print(
    server: &Server,
    topic: TopicName,
    id: CommandId,
    command: EncodedValue,
    attempts: u32,
) -> Result<(), Box<dyn Error>> {
    let no_answer = |text: String| ExitError { code: NO_ANSWER, text };
    let frame = ClientFrame::Command {
        topic,
        id: id.clone(),
        command,
    };
    let reply = post(server, &Encoding::Json.encode(&frame)?, attempts).await;
    let reply = reply.map_err(|error| match error {
        // The token lacks the required role.
        HttpError::Forbidden(why) => ExitError {
            code: REJECTED,
            text: format!("rejected: {why}"),
        },
        error => no_answer(format!("{error}; send it again with --id {}", id.as_str())),
    })?;
    output::ignore_closed(out!("{}", serde_json::to_string(&reply)?))?;
    let ServerFrame::Reply { answer, .. } = reply else {
        return Err(no_answer("unexpected response: not a reply frame".to_owned()).into());
    };
    match answer {
        Answer::Accepted { .. } => Ok(()),
        Answer::Rejected(why) => Err(ExitError {
            code: REJECTED,
            text: format!("rejected: {why}"),
        }
        .into()),
    }
}

/// Posts a command, and retries after temporary failures: a lost answer, or a rejection that is not final.
async fn post(server: &Server, frame: &[u8], attempts: u32) -> Result<ServerFrame, HttpError> {
    let session = uuid::Uuid::new_v4();
    let path = format!("{COMMAND_PATH}?session={session}");
    let backoff = Backoff {
        cap: MAX_DELAY,
        ..Backoff::default()
    };
    let mut attempt = 0;
    loop {
        let posted = server.post(&path, frame.to_vec()).await;
        attempt += 1;
        let delay = match &posted {
            Ok(ServerFrame::Reply {
                answer: Answer::Rejected(why),
                ..
            }) if why.may_retry() => backoff.delay(attempt, random_unit()),
            Err(error) if error.may_retry() => {
                err!("duplex: {error}; retrying");
                backoff.delay(attempt, random_unit())
            }
            _ => return posted,
        };
        if attempt >= attempts {
            return posted;
        }
        tokio::time::sleep(delay).await;
    }
}

/// A random number from 0 to 1.
pub fn random_unit() -> f64 {
    f64::from(uuid::Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}
