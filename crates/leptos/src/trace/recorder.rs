//! What of the link's inputs and effects is worth noting. Pure; decides nothing.

use crate::session::{Effect, Input, News};
use crate::trace::{Diary, What};
use duplex_protocol::session::{ClientFrame, ServerFrame};

impl Diary {
    /// Before the link deals with it.
    pub fn heard(&mut self, now: f64, input: &Input) {
        match input {
            Input::Opened { line, .. } => self.moment(now, What::Opened { line: *line }),
            Input::Closed { line, code } => self.moment(
                now,
                What::Closed {
                    line: *line,
                    code: *code,
                },
            ),
            Input::Frame { frame, .. } => self.said(now, frame),
            Input::Subscribe {
                topic,
                delivery,
                cursor,
            } => self.checker.begin(topic.clone(), *delivery, *cursor),
            Input::Unsubscribe { topic } => {
                self.checker.end(topic);
                let checker = &self.checker;
                self.heads.retain(|(known, _)| checker.shows(known));
            }
            _ => (),
        }
    }

    fn said(&mut self, now: f64, frame: &ServerFrame) {
        match frame {
            ServerFrame::Welcome(welcome) => self.session = Some(welcome.session.clone()),
            ServerFrame::Verdict { topic, verdict } => self.verdict(now, topic, verdict),
            ServerFrame::Event { topic, seq, .. } => self.head(topic, *seq),
            ServerFrame::Pong { nonce } => self.ponged(now, *nonce),
            ServerFrame::Closing { retry_after_ms, .. } => self.moment(
                now,
                What::Closing {
                    retry_after_ms: *retry_after_ms,
                },
            ),
            ServerFrame::Reply { .. } | ServerFrame::Presence { .. } | ServerFrame::NameRefused { .. } => (),
        }
    }

    /// Before it is done.
    pub fn acted(&mut self, now: f64, effect: &Effect) {
        match effect {
            Effect::Close { line } => self.moment(now, What::Left { line: *line }),
            Effect::Send {
                // 0 answers a stream's pong, and measures nothing.
                frame: ClientFrame::Ping { nonce: nonce @ 1.. },
                ..
            } => self.pinged(now, *nonce),
            Effect::Tell { topic, news } => match news {
                News::State { cursor, reason, .. } => self.checker.state(topic, *cursor, *reason),
                News::Event { seq, .. } => self.checker.event(topic, *seq),
                News::Presence(_) | News::Status(_) | News::Command(..) => (),
            },
            _ => (),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duplex_protocol::codec::{Blob, Encoding};
    use duplex_protocol::session::Verdict;
    use duplex_protocol::topic::{Delivery, TopicName};

    #[test]
    fn what_is_told_is_checked_and_what_comes_is_known() {
        let mut diary = Diary::default();
        let topic: TopicName = "chat/a".parse().unwrap();
        let cursor = Some("1:4".parse().unwrap());
        let delivery = Delivery::Every;
        diary.heard(
            0.0,
            &Input::Subscribe {
                topic: topic.clone(),
                delivery,
                cursor,
            },
        );
        let verdict = Verdict::Resumed {
            replayed: 2,
            head: "1:6".parse().unwrap(),
        };
        let frame = ServerFrame::Verdict {
            topic: topic.clone(),
            verdict,
        };
        diary.heard(1.0, &Input::Frame { line: 1, frame });
        assert_eq!(diary.heads, [(topic.clone(), 6)]);
        for seq in [5, 7] {
            let (encoding, event) = (Encoding::Json, Blob(Vec::new()));
            let check = None;
            let news = News::Event {
                encoding,
                seq,
                check,
                event,
            };
            let topic = topic.clone();
            diary.acted(2.0, &Effect::Tell { topic, news });
        }
        let tally = diary.checker.tally();
        assert_eq!((tally.events, tally.gaps, diary.counts.replayed), (2, 1, 2));
        diary.heard(3.0, &Input::Unsubscribe { topic });
        assert!(diary.heads.is_empty());
    }
}
