//! Encoded recordings of the previous and the current round.

use bytes::Bytes;

use crate::apps::arena::model::body::TICK_RATE;
use crate::apps::arena::model::recording::Recorder;

/// In the first ten seconds of a round the recording of the last one is served.
const MIN_TICKS: u32 = 10 * TICK_RATE;

#[derive(Default)]
pub(super) struct Recordings {
    last: Option<Bytes>,
    /// The file of the current round, and the tick of its encoding.
    current: Option<(u32, Bytes)>,
}

impl Recordings {
    pub(super) fn round_ended(&mut self, recorder: &Recorder) {
        self.last = Some(recorder.encode().into());
        self.current = None;
    }

    /// The file to serve at this tick of the current round. Encoded at most once per second.
    pub(super) fn latest(&mut self, tick: u32, recorder: &Recorder) -> Option<Bytes> {
        match (&self.last, &self.current) {
            (Some(last), _) if tick < MIN_TICKS => Some(last.clone()),
            (_, Some((made_at, current))) if tick < made_at + TICK_RATE => Some(current.clone()),
            _ if tick < TICK_RATE => None,
            _ => {
                let current = Bytes::from(recorder.encode());
                self.current = Some((tick, current.clone()));
                Some(current)
            }
        }
    }
}
