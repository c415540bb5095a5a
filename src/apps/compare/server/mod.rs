//! The server side of the comparison: the decider of `compare/<slot>`, the document WebSocket, and the measurement routes.

pub mod measure;

use crate::apps::server::AppServer;
use duplex_hub::dyn_topic;
use std::sync::LazyLock;
use std::time::Duration;

use super::wire::{Compare, CompareMessage, DOCUMENTS_PATH, LatestMessage, is_slot};
use crate::apps::compare::wire::measure::{MAX_CHUNK, MAX_PAYLOAD, document};
use duplex_axum::endpoint::{Payload, Reply, StatelessEndpoint};
use duplex_hub::Retention;
use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal};
use duplex_protocol::session::{Denial, Rejection};
use duplex_protocol::topic::TopicName;

pub fn app() -> AppServer {
    AppServer {
        kinds: Some(|| vec![dyn_topic(Compare)]),
        endpoints: endpoints().to_vec(),
        routes: Some(measure::routes()),
        ..AppServer::default()
    }
}

pub fn endpoints() -> [StatelessEndpoint; 1] {
    [StatelessEndpoint {
        path: DOCUMENTS_PATH,
        description: "replies to a number N with a document of N bytes.",
        reply,
    }]
}

fn reply(message: Payload<'_>) -> Reply {
    let bytes = match message {
        Payload::Text(text) => text.parse().unwrap_or_default(),
        Payload::Binary(_) => 0,
    };
    static TEXT: LazyLock<String> = LazyLock::new(|| document(MAX_CHUNK));
    Reply::Text(TEXT.get(..bytes.min(MAX_CHUNK)).unwrap_or_default().to_owned())
}

impl Decider for Compare {
    type ServerCommand = NoCommand;

    fn admit(&self, _who: Principal<'_>, topic: &TopicName) -> Result<Access, Denial> {
        if is_slot(topic.rest()) {
            Ok(Access::Write)
        } else {
            Err(Denial::Unknown)
        }
    }

    fn starts_on_read(&self, _topic: &TopicName) -> bool {
        false
    }

    fn decide(
        &self,
        _context: Context<'_>,
        _state: &LatestMessage,
        command: CompareMessage,
    ) -> Result<Vec<CompareMessage>, Rejection> {
        let CompareMessage::Text { text } = &command;
        if text.len() > MAX_PAYLOAD {
            return Err(Rejection::TooLarge);
        }
        Ok(vec![command])
    }

    /// Nothing reads the log, so keep little.
    fn retention(&self) -> Retention {
        Retention {
            events: 64,
            age: Some(Duration::from_secs(600)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decide(text: &str) -> Result<Vec<CompareMessage>, Rejection> {
        let topic: TopicName = "compare/0f".parse().unwrap();
        let who = Principal::program();
        let context = Context {
            topic: &topic,
            sender: who.person,
            sender_kind: who.sender_kind,
            authority: duplex_hub::Authority::VISITOR,
            now: 0,
            next_seq: 1,
        };
        let text = text.to_owned();
        Compare.decide(context, &LatestMessage::default(), CompareMessage::Text { text })
    }

    #[test]
    fn only_slots_are_topics() {
        let admits = |name: &str| Compare.admit(Principal::program(), &name.parse().unwrap()).is_ok();
        assert!(admits("compare/00") && admits("compare/ff"));
        assert!(!admits("compare/0") && !admits("compare/0g") && !admits("compare/000"));
    }

    #[test]
    fn a_document_has_the_requested_size_up_to_a_limit() {
        let bytes = |requested: &str| match reply(Payload::Text(requested)) {
            Reply::Text(text) => text.len(),
            Reply::Echo => panic!("not the same"),
        };
        assert_eq!([bytes("1000"), bytes("9999999"), bytes("x")], [1000, MAX_CHUNK, 0]);
    }

    proptest! {
        #[test]
        fn a_message_is_accepted_or_too_large(length in 0usize..2 * MAX_PAYLOAD) {
            let text = "x".repeat(length);
            match decide(&text) {
                Ok(events) => {
                    prop_assert!(length <= MAX_PAYLOAD);
                    prop_assert_eq!(events, vec![CompareMessage::Text { text }]);
                }
                Err(error) => prop_assert_eq!((error, length > MAX_PAYLOAD), (Rejection::TooLarge, true)),
            }
        }
    }
}
