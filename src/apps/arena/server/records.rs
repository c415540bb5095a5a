//! The files of what happened in the arena: of the last round, and of the present one as it was a moment ago.

use bytes::Bytes;

use crate::apps::arena::model::body::RATE;
use crate::apps::arena::model::record::Recorder;

/// A record of a round that has just begun is not worth keeping: the one before is.
const WORTH_KEEPING: u32 = 10 * RATE;

#[derive(Default)]
pub(super) struct Records {
    last: Option<Bytes>,
    /// Of the present round, made at this tick of it.
    present: Option<(u32, Bytes)>,
}

impl Records {
    pub(super) fn round_ended(&mut self, recorder: &Recorder) {
        self.last = Some(recorder.file().into());
        self.present = None;
    }

    /// The file to keep at this tick of the present round. However many ask, one is made once a second.
    pub(super) fn newest(&mut self, tick: u32, recorder: &Recorder) -> Option<Bytes> {
        match (&self.last, &self.present) {
            (Some(last), _) if tick < WORTH_KEEPING => Some(last.clone()),
            (_, Some((made, present))) if tick < made + RATE => Some(present.clone()),
            _ if tick < RATE => None,
            _ => {
                let present = Bytes::from(recorder.file());
                self.present = Some((tick, present.clone()));
                Some(present)
            }
        }
    }
}
