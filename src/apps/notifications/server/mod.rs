//! The server side of notifications: deciders of `notices/<group>` and `inbox/<person>`, the ingest endpoint and the unread
//! endpoint. Pure.

mod ingest;
pub mod request;
mod tests;
mod unread;

use crate::apps::server::AppServer;
use duplex_hub::dyn_topic;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

pub use self::ingest::ingest_endpoint;
pub use self::unread::unread_endpoint;
use super::model::{InboxState, NoticeList};
use super::wire::{
    Inbox, InboxCommand, InboxEvent, MAX_SEQS_PER_READ, Notices, NoticesEvent, OWN_INBOX, PAGE_PATH, is_group,
    is_public, is_source, is_visitor_id, parse_heads, reason_code, validate,
};
use crate::server::forms::CommandForm;
use crate::wire::notice::Notice;
use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal, Retention, SenderKind, ServerCommand};
use duplex_hub::{RequiredRole, TopicCommand};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::TopicName;

pub fn app() -> AppServer {
    AppServer {
        kinds: Some(|| vec![dyn_topic(Notices), dyn_topic(Inbox)]),
        ingest: vec![ingest_endpoint()],
        command_forms: vec![form()],
        unread: vec![unread_endpoint()],
        ..AppServer::default()
    }
}

/// Maximum events in a log: about a year of events of a public topic. An inbox's log also contains the read marks.
const RETAINED_EVENTS: u64 = 10_000;
const MAX_AGE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// The form "Mark all as read", for browsers without scripts. The form contains the inbox's name; `admit` rejects anyone but its
/// owner.
pub fn form() -> CommandForm {
    CommandForm {
        path: PAGE_PATH,
        command: |_, fields| {
            let heads = parse_heads(fields.get("heads")?);
            TopicCommand::to::<Inbox>(fields.get("inbox")?, &InboxCommand::ReadAll { heads }).ok()
        },
        redirect_to: CommandForm::same_page,
    }
}

const fn retention() -> Retention {
    Retention {
        events: RETAINED_EVENTS,
        age: Some(MAX_AGE),
    }
}

fn validated(context: Context<'_>, notice: Notice) -> Result<Notice, Rejection> {
    validate(notice, context.now).map_err(|error| Rejection::custom(error.to_string()))
}

/// The server's commands to a public topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticesCommand {
    Send(Notice),
}

impl Decider for Notices {
    type ServerCommand = NoticesCommand;

    fn program_role<'a>(&self, _topic: &'a TopicName) -> RequiredRole<'a> {
        RequiredRole::Notify
    }

    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        match who.sender_kind {
            _ if !is_public(topic.rest()) => Err(Denial::Unknown),
            SenderKind::Program | SenderKind::Server => Ok(Access::Write),
            SenderKind::Visitor => Ok(Access::Read),
        }
    }

    fn decide(
        &self,
        _context: Context<'_>,
        _list: &NoticeList,
        command: NoCommand,
    ) -> Result<Vec<NoticesEvent>, Rejection> {
        match command {}
    }

    fn retention(&self) -> Retention {
        retention()
    }
}

impl ServerCommand<Notices> for NoticesCommand {
    const ACCEPTED_FROM_PROGRAMS: bool = true;

    fn decide(
        self,
        _notices: &Notices,
        context: Context<'_>,
        _list: &NoticeList,
    ) -> Result<Vec<NoticesEvent>, Rejection> {
        let Self::Send(notice) = self;
        // `admit` is not called for commands of the server and of programs.
        if !is_public(context.topic.rest()) {
            return Err(Rejection::Denied(Denial::Unknown));
        }
        Ok(vec![NoticesEvent::Sent {
            at: context.now,
            notice: validated(context, notice)?,
        }])
    }
}

impl Decider for Inbox {
    type ServerCommand = NoCommand;

    const PRIVATE: bool = true;

    fn program_role<'a>(&self, _topic: &'a TopicName) -> RequiredRole<'a> {
        RequiredRole::Notify
    }

    fn admit(&self, who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        let owner = PersonId(topic.rest().to_owned());
        if !is_visitor_id(&owner) {
            return Err(Denial::Unknown);
        }
        if who.person.id == owner || who.sender_kind != SenderKind::Visitor {
            Ok(Access::Write)
        } else {
            Err(Denial::Forbidden)
        }
    }

    fn starts_on_read(&self, _topic: &TopicName) -> bool {
        false
    }

    fn decide(
        &self,
        context: Context<'_>,
        inbox: &InboxState,
        command: InboxCommand,
    ) -> Result<Vec<InboxEvent>, Rejection> {
        // `admit` is not called for commands of the server and of programs.
        self.admit(context.principal(), context.topic)
            .map_err(Rejection::Denied)?;
        let is_send = matches!(command, InboxCommand::Send(_));
        if context.sender_kind == SenderKind::Program && !is_send && !context.authority.operator {
            // The role `notify` may send notices, but not change what a person has read.
            return Err(Rejection::missing_role(RequiredRole::Operator.name()));
        }
        match command {
            InboxCommand::Send(notice) => Ok(vec![InboxEvent::Sent {
                at: context.now,
                notice: validated(context, notice)?,
            }]),
            InboxCommand::Read { source, seqs } => read(context, inbox, source, seqs),
            InboxCommand::ReadAll { heads } => read_all(context, inbox, heads),
            InboxCommand::Follow { group, on, head } => follow(inbox, group, on, head),
        }
    }

    fn retention(&self) -> Retention {
        retention()
    }
}

/// Whether `seq` can exist. Only the inbox's own seqs are checked: a wrong seq of another source affects only the sender's own read
/// state.
fn may_exist(context: Context<'_>, source: &str, seq: Seq) -> bool {
    seq > 0 && (source != OWN_INBOX || seq < context.next_seq)
}

fn read(
    context: Context<'_>,
    inbox: &InboxState,
    source: String,
    seqs: Vec<Seq>,
) -> Result<Vec<InboxEvent>, Rejection> {
    if !is_source(&source) {
        return Err(Rejection::custom(reason_code::NO_SOURCE));
    }
    if seqs.len() > MAX_SEQS_PER_READ {
        return Err(Rejection::custom(reason_code::TOO_MANY));
    }
    let is_new = |seq: &Seq| may_exist(context, &source, *seq) && !inbox.has_read(&source, *seq);
    let seqs: Vec<Seq> = seqs.into_iter().filter(is_new).collect();
    match seqs.is_empty() {
        true => Ok(Vec::new()),
        false => Ok(vec![InboxEvent::Read { source, seqs }]),
    }
}

fn read_all(
    context: Context<'_>,
    inbox: &InboxState,
    heads: BTreeMap<String, Seq>,
) -> Result<Vec<InboxEvent>, Rejection> {
    if !heads.keys().all(|source| is_source(source)) {
        return Err(Rejection::custom(reason_code::NO_SOURCE));
    }
    let is_new = |(source, head): &(String, Seq)| {
        let read_up_to = inbox.marks.get(source).map_or(0, |mark| mark.read_up_to);
        may_exist(context, source, *head) && *head > read_up_to
    };
    let heads: BTreeMap<String, Seq> = heads.into_iter().filter(is_new).collect();
    match heads.is_empty() {
        true => Ok(Vec::new()),
        false => Ok(vec![InboxEvent::ReadAll { heads }]),
    }
}

fn follow(inbox: &InboxState, group: String, on: bool, head: Seq) -> Result<Vec<InboxEvent>, Rejection> {
    if !is_group(&group) {
        return Err(Rejection::custom(reason_code::NO_SOURCE));
    }
    Ok(match (on, inbox.follows.contains(&group)) {
        (true, false) => vec![InboxEvent::Followed { group, from: head }],
        (false, true) => vec![InboxEvent::Unfollowed { group }],
        _ => Vec::new(),
    })
}
