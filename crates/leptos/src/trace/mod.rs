//! What a tab's session did, as it did it: the frames in and out and the moments of its lines, in two bounded rings, and
//! counts that begin with the page. Takes what it is given as it is: to read a frame is the inspector's work, and nobody's
//! while it was never opened. Pure; knows no line and no page.

pub mod delivery_audit;
pub mod inspection;
mod recorder;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::status::{Phase, Transport};
use crate::runtime::tab::lock;
pub use crate::socket::Payload;
use crate::trace::delivery_audit::{Checker, Tally};
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::fault::Fault;
use duplex_protocol::session::{SessionId, Verdict};
use duplex_protocol::topic::TopicName;

/// What is kept: minutes of a busy chat, and less memory than one picture.
const FRAMES: usize = 600;
const FRAME_BYTES: usize = 1 << 20;
const MOMENTS: usize = 400;
/// A larger frame is kept without its content: it would push out everything else.
const LARGEST: usize = FRAME_BYTES / 4;
const TRIPS: usize = 60;

/// What a frame travelled in: by that one knows what it cost on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// A WebSocket message.
    Socket,
    /// A server-sent event; or, sent, the address at which the stream was asked for.
    Event,
    /// The answer to a poll, an array of frames; or, sent, the address of the question.
    Poll,
    /// A posted frame, or the answer to it.
    Post,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub number: u64,
    /// Milliseconds of the page's clock.
    pub at: f64,
    pub line: u32,
    pub sent: bool,
    pub carrier: Carrier,
    /// Bytes of the content.
    pub size: usize,
    /// None: too large to be kept.
    pub content: Option<Payload>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    pub number: u64,
    pub at: f64,
    /// What had been told to the page by then.
    pub tally: Tally,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Phase {
        phase: Phase,
        transport: Option<Transport>,
    },
    /// A line is opened. `trace`: by which the server knows a WebSocket.
    Opening {
        line: u32,
        transport: Transport,
        trace: Option<String>,
    },
    Opened {
        line: u32,
    },
    /// The line ended by itself or by the server.
    Closed {
        line: u32,
        code: u16,
    },
    /// The page closed it.
    Left {
        line: u32,
    },
    /// The server said that it closes.
    Closing {
        retry_after_ms: u32,
    },
    Resumed {
        topic: TopicName,
        replayed: u64,
    },
    Reset {
        topic: TopicName,
    },
    Denied {
        topic: TopicName,
    },
    /// The visitor asked for a fault. `refused`: the status of the answer, 0 for none.
    Fault {
        fault: Disturbance,
        refused: Option<u16>,
    },
    /// An interruption that was made here is over.
    Restored,
}

/// What a visitor can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disturbance {
    /// By the server.
    Server(Fault),
    /// The lines are closed here, and none is opened for so many milliseconds.
    Offline(u32),
}

/// Since the page was loaded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub frames_in: u64,
    pub frames_out: u64,
    /// Contents, without what carries them.
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub lines: u64,
    /// Lines that ended without the page's doing.
    pub lost: u64,
    /// Times that a topic went on where it was.
    pub resumed: u64,
    pub replayed: u64,
    /// Entries that were pushed out of the rings.
    pub dropped: u64,
}

#[derive(Debug, Default)]
pub struct Diary {
    pub frames: VecDeque<Frame>,
    pub moments: VecDeque<Moment>,
    pub checker: Checker,
    pub counts: Counts,
    /// The newest round trips, in milliseconds.
    pub trips: VecDeque<f64>,
    /// As the server names it; over the fallbacks as the page does.
    pub session: Option<SessionId>,
    /// The newest seq that each topic is known to have.
    pub heads: Vec<(TopicName, Seq)>,
    bytes: usize,
    ping: Option<(u32, f64)>,
    last: Option<(Phase, Option<Transport>)>,
    /// Also the version: it grows with everything that is noted.
    number: u64,
}

/// Shared by the link's driver, the lines and the inspector.
#[derive(Debug, Clone, Default)]
pub struct Tap(Arc<Mutex<Diary>>);

impl Tap {
    pub fn with<T>(&self, read: impl FnOnce(&Diary) -> T) -> T {
        read(&lock(&self.0))
    }

    pub(crate) fn edit(&self, edit: impl FnOnce(&mut Diary)) {
        edit(&mut lock(&self.0));
    }
}

impl Diary {
    pub const fn version(&self) -> u64 {
        self.number
    }

    /// `now` is the page's clock, as in all that follows.
    pub fn frame(&mut self, now: f64, line: u32, sent: bool, carrier: Carrier, content: Payload) {
        let size = content.len();
        if sent {
            self.counts.frames_out += 1;
            self.counts.bytes_out += size as u64;
        } else {
            self.counts.frames_in += 1;
            self.counts.bytes_in += size as u64;
        }
        let content = (size <= LARGEST).then_some(content);
        self.bytes += kept(&content);
        let number = self.next();
        self.frames.push_back(Frame {
            number,
            at: now,
            line,
            sent,
            carrier,
            size,
            content,
        });
        while self.frames.len() > FRAMES || self.bytes > FRAME_BYTES {
            let Some(old) = self.frames.pop_front() else { break };
            self.bytes -= kept(&old.content);
            self.counts.dropped += 1;
        }
    }

    pub fn moment(&mut self, now: f64, what: What) {
        match &what {
            What::Opening { .. } => self.counts.lines += 1,
            What::Closed { .. } => self.counts.lost += 1,
            What::Resumed { replayed, .. } => {
                self.counts.resumed += 1;
                self.counts.replayed += replayed;
            }
            _ => (),
        }
        let number = self.next();
        // What is noted late, because it waited for an answer, stands where it happened.
        let place = self.moments.partition_point(|moment| moment.at <= now);
        let later = self.moments.get(place).map(|moment| moment.tally);
        let tally = later.unwrap_or_else(|| self.checker.tally());
        let moment = Moment {
            number,
            at: now,
            tally,
            what,
        };
        self.moments.insert(place, moment);
        if self.moments.len() > MOMENTS {
            self.moments.pop_front();
            self.counts.dropped += 1;
        }
    }

    /// Noted when it is another.
    pub fn phase(&mut self, now: f64, phase: Phase, transport: Option<Transport>) {
        if self.last.replace((phase, transport)) != Some((phase, transport)) {
            self.moment(now, What::Phase { phase, transport });
        }
    }

    pub fn verdict(&mut self, now: f64, topic: &TopicName, verdict: &Verdict) {
        let topic = topic.clone();
        let what = match verdict {
            Verdict::Resumed { replayed, head } => {
                self.head(&topic, head.seq);
                let replayed = *replayed;
                What::Resumed { topic, replayed }
            }
            Verdict::Reset { cursor, .. } => {
                self.head_is(&topic, *cursor);
                What::Reset { topic }
            }
            Verdict::Denied { .. } => What::Denied { topic },
        };
        self.moment(now, what);
    }

    /// The topic has at least this many events.
    pub fn head(&mut self, topic: &TopicName, seq: Seq) {
        match self.heads.iter_mut().find(|(known, _)| known == topic) {
            Some((_, head)) => *head = seq.max(*head),
            None => self.heads.push((topic.clone(), seq)),
        }
    }

    /// Its log may be another one.
    fn head_is(&mut self, topic: &TopicName, cursor: Cursor) {
        self.heads.retain(|(known, _)| known != topic);
        self.heads.push((topic.clone(), cursor.seq));
    }

    pub fn pinged(&mut self, now: f64, nonce: u32) {
        self.ping = Some((nonce, now));
    }

    pub fn ponged(&mut self, now: f64, nonce: u32) {
        let Some((_, sent)) = self.ping.filter(|(pinged, _)| *pinged == nonce) else {
            return;
        };
        self.ping = None;
        self.number += 1;
        self.trips.push_back(now - sent);
        if self.trips.len() > TRIPS {
            self.trips.pop_front();
        }
    }

    fn next(&mut self) -> u64 {
        self.number += 1;
        self.number
    }
}

fn kept(content: &Option<Payload>) -> usize {
    content.as_ref().map_or(0, Payload::len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(size: usize) -> Payload {
        Payload::Text("x".repeat(size))
    }

    #[test]
    fn a_phase_is_noted_once_and_a_round_trip_by_its_own_pong() {
        let mut diary = Diary::default();
        diary.phase(1.0, Phase::Connecting, None);
        diary.phase(2.0, Phase::Connecting, None);
        diary.phase(3.0, Phase::Live, Some(Transport::Sse));
        assert_eq!(
            diary.moments.iter().map(|moment| moment.at).collect::<Vec<_>>(),
            [1.0, 3.0]
        );
        diary.pinged(10.0, 1);
        diary.ponged(12.0, 7);
        diary.ponged(15.0, 1);
        diary.ponged(20.0, 1);
        assert_eq!(diary.trips, [5.0]);
    }

    #[test]
    fn what_is_noted_late_stands_where_it_happened() {
        let mut diary = Diary::default();
        diary.phase(1.0, Phase::Live, None);
        diary.phase(5.0, Phase::Connecting, None);
        diary.moment(3.0, What::Restored);
        let order: Vec<_> = diary.moments.iter().map(|moment| moment.at).collect();
        assert_eq!(order, [1.0, 3.0, 5.0]);
    }

    #[test]
    fn a_head_grows_and_a_new_state_may_set_it_back() {
        let mut diary = Diary::default();
        let topic: TopicName = "chat/a".parse().unwrap();
        diary.head(&topic, 7);
        diary.head(&topic, 5);
        assert_eq!(diary.heads, [(topic.clone(), 7)]);
        diary.head_is(&topic, "9:2".parse().unwrap());
        assert_eq!(diary.heads, [(topic, 2)]);
    }

    #[test]
    fn a_large_frame_is_counted_and_not_kept() {
        let mut diary = Diary::default();
        diary.frame(0.0, 1, false, Carrier::Socket, text(LARGEST + 1));
        assert_eq!((diary.frames[0].size, &diary.frames[0].content), (LARGEST + 1, &None));
        assert_eq!(diary.counts.bytes_in, LARGEST as u64 + 1);
    }

    proptest! {
        #[test]
        fn the_rings_are_bounded_keep_the_newest_and_count_everything(sizes in prop::collection::vec(0usize..LARGEST + 2_000, 0..40), many in 0usize..2 * MOMENTS) {
            let mut diary = Diary::default();
            for size in &sizes {
                diary.frame(0.0, 1, true, Carrier::Socket, text(*size));
            }
            for line in 0..many {
                diary.moment(0.0, What::Left { line: line as u32 });
            }
            let bytes: usize = diary.frames.iter().map(|frame| kept(&frame.content)).sum();
            prop_assert_eq!(bytes, diary.bytes);
            prop_assert!(bytes <= FRAME_BYTES && diary.frames.len() <= FRAMES && diary.moments.len() <= MOMENTS);
            prop_assert_eq!(diary.counts.frames_out, sizes.len() as u64);
            prop_assert_eq!(diary.counts.bytes_out, sizes.iter().sum::<usize>() as u64);
            let held = diary.frames.len() + diary.moments.len();
            prop_assert_eq!(diary.counts.dropped as usize, sizes.len() + many - held);
            prop_assert_eq!(diary.frames.back().map(|frame| frame.size), sizes.last().copied());
        }
    }
}
