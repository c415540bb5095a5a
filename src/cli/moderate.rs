//! The moderation commands `duplex ban`, `unban`, `bans`, `rename`, `delete-message` and `delete-room`, sent to a running server.

use std::error::Error;
use std::time::UNIX_EPOCH;

use duplex::apps::chat::wire::ChatCommand;
use duplex::server::config::Config;
use duplex::wire::moderation::{ALL, Ban, Millis, Moderation, ModerationCommand, Rules, Target};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{CommandId, POLL_PATH, ServerFrame, Verdict};
use duplex_protocol::topic::TopicName;
use serde::Serialize;

use super::output::out;
use super::remote::{Remote, Server};
use super::send::{DEFAULT_ATTEMPTS, send_and_print};

#[derive(Debug, clap::Args)]
pub struct BanArgs {
    #[command(subcommand)]
    target: BanTarget,

    /// Duration, such as 30m, 12h, 7d or 4w [default: permanent]
    #[arg(long = "for", value_name = "TIME", value_parser = duration, global = true)]
    duration: Option<Millis>,

    /// Reason, shown to the banned visitor
    #[arg(long, value_name = "TEXT", default_value = "", global = true)]
    reason: String,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub struct UnbanArgs {
    #[command(subcommand)]
    target: BanTarget,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum BanTarget {
    /// A person, by public id (shown in their messages)
    Person { id: String },
    /// An IP address or a network such as 192.0.2.0/24; an IPv6 address alone means its /64
    Address { address: String },
}

#[derive(Debug, clap::Args)]
pub struct BansArgs {
    /// Prints one JSON object per line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub struct RenameArgs {
    /// The public id in their messages
    person: String,

    /// The new name; an empty name removes the assignment
    name: String,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub struct DeleteMessageArgs {
    /// Room, such as lobby
    room: String,

    /// The message's seq, as `duplex tail` prints it
    seq: Seq,

    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, clap::Args)]
pub struct DeleteRoomArgs {
    room: String,

    #[command(flatten)]
    remote: Remote,
}

impl From<BanTarget> for Target {
    fn from(target: BanTarget) -> Self {
        match target {
            BanTarget::Person { id } => Self::Person(PersonId(id)),
            BanTarget::Address { address } => Self::Address(address),
        }
    }
}

impl BanArgs {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let command = ModerationCommand::Ban {
            target: self.target.into(),
            until: self.duration.map(|duration| duplex_hub::now().saturating_add(duration)),
            reason: self.reason,
        };
        moderate(&self.remote, config, &command)
    }
}

impl UnbanArgs {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let target = self.target.into();
        moderate(&self.remote, config, &ModerationCommand::Unban { target })
    }
}

impl RenameArgs {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let (person, name) = (PersonId(self.person), self.name);
        moderate(&self.remote, config, &ModerationCommand::Rename { person, name })
    }
}

impl DeleteMessageArgs {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let topic = format!("chat/{}", self.room).parse()?;
        let command = ChatCommand::Delete { seq: self.seq };
        send(&self.remote, config, topic, &command)
    }
}

impl DeleteRoomArgs {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let topic = format!("chat/{}", self.room).parse()?;
        moderate(&self.remote, config, &ModerationCommand::Close { topic })
    }
}

impl BansArgs {
    pub fn run(self, config: &Config) -> Result<(), Box<dyn Error>> {
        let server = self.remote.server(config)?;
        let rules = super::block_on(rules(&server))?;
        if self.json {
            return print_json(&rules);
        }
        out!("{:<46} {:<24} REASON", "BANNED", "UNTIL")?;
        for (target, ban) in &rules.bans {
            let until = ban.until.map_or("-".to_owned(), time);
            out!("{:<46} {until:<24} {}", name(target), ban.reason)?;
        }
        for (PersonId(id), name) in &rules.names {
            out!("{id} is called {name}")?;
        }
        for topic in &rules.closed {
            out!("{topic} is deleted")?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum JsonLine<'a> {
    Banned { target: &'a Target, ban: &'a Ban },
    Renamed { person: &'a PersonId, name: &'a str },
    Closed { topic: &'a TopicName },
}

fn print_json(rules: &Rules) -> Result<(), Box<dyn Error>> {
    let bans = rules.bans.iter().map(|(target, ban)| JsonLine::Banned { target, ban });
    let names = rules
        .names
        .iter()
        .map(|(person, name)| JsonLine::Renamed { person, name });
    let closed = rules.closed.iter().map(|topic| JsonLine::Closed { topic });
    for line in bans.chain(names).chain(closed) {
        out!("{}", serde_json::to_string(&line)?)?;
    }
    Ok(())
}

fn moderate(remote: &Remote, config: &Config, command: &ModerationCommand) -> Result<(), Box<dyn Error>> {
    send(remote, config, TopicName::of::<Moderation>(ALL)?, command)
}

fn send<C: Serialize>(remote: &Remote, config: &Config, topic: TopicName, command: &C) -> Result<(), Box<dyn Error>> {
    let server = remote.server(config)?;
    let id = CommandId::from_bits(uuid::Uuid::new_v4().as_u128());
    let command = EncodedValue::encode(Encoding::Json, command)?;
    super::block_on(send_and_print(&server, topic, id, command, DEFAULT_ATTEMPTS))
}

/// Fetches the current rules.
async fn rules(server: &Server) -> Result<Rules, Box<dyn Error>> {
    let topic = TopicName::of::<Moderation>(ALL)?;
    let session = uuid::Uuid::new_v4();
    let path = format!("{POLL_PATH}?session={session}&topics={topic}&wait=0");
    let frames: Vec<ServerFrame> = server.get(&path).await?;
    for frame in frames {
        if let ServerFrame::Verdict { verdict, .. } = frame {
            return match verdict {
                Verdict::Reset { state, .. } => Ok(state.decode(Encoding::Json)?),
                Verdict::Denied { reason } => Err(format!("{reason}; pass an operator's token with --token").into()),
                Verdict::Resumed { .. } => Err("unexpected verdict: no state".into()),
            };
        }
    }
    Err("no verdict in the response".into())
}

fn name(target: &Target) -> String {
    match target {
        Target::Person(PersonId(id)) => format!("person {id}"),
        Target::Address(address) => format!("address {address}"),
    }
}

fn time(millis: Millis) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + std::time::Duration::from_millis(millis))
}

/// Parses a duration such as `12h` into milliseconds.
fn duration(text: &str) -> Result<Millis, String> {
    let invalid = || "a number and m, h, d or w, such as 12h".to_owned();
    let unit = text.chars().next_back().ok_or_else(invalid)?;
    let minutes = match unit {
        'm' => 1,
        'h' => 60,
        'd' => 24 * 60,
        'w' => 7 * 24 * 60,
        _ => return Err(invalid()),
    };
    let count: Millis = text[..text.len() - unit.len_utf8()].parse().map_err(|_| invalid())?;
    let length = count
        .checked_mul(minutes * 60_000)
        .filter(|length| *length > 0 && *length < Millis::MAX / 4);
    length.ok_or_else(invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_parsed() {
        assert_eq!(duration("12h"), Ok(12 * 3_600_000));
        assert_eq!(duration("4w"), Ok(28 * 86_400_000));
        for wrong in ["", "h", "12", "0d", "-1d", "1.5h", "99999999999999999999d", "1년"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
