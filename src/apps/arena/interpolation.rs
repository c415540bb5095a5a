//! Snapshot interpolation: buffers received frames and picks the pair to interpolate for a playback time slightly in the past.
//! Pure; times are milliseconds of the page's clock.

use std::collections::VecDeque;

use super::model::body::TICK_RATE;
use super::wire::frame::Frame;

/// Maximum number of buffered frames; each may be a baseline.
const MAX_FRAMES: usize = 64;
const TICK: f64 = 1000.0 / TICK_RATE as f64;
/// How far the clock estimate may move per frame towards later frames, in milliseconds.
const CLOCK_DRIFT: f64 = 0.05;
/// A frame later than this is treated as the end of a stall and resets the clock estimate; smaller delays count as jitter.
const PAUSE_MS: f64 = 1500.0;

#[derive(Debug, Default)]
pub struct Interpolation {
    frames: VecDeque<Frame>,
    /// The time of tick 0, estimated from the fastest frame.
    tick_zero_at: Option<f64>,
    /// The smoothed frame interval and delay, in ticks.
    frame_gap: f64,
    lateness: f64,
}

impl Interpolation {
    pub fn get(&self, tick: u32) -> Option<&Frame> {
        self.frames.iter().rev().find(|frame| frame.tick == tick)
    }

    pub fn newest(&self) -> Option<&Frame> {
        self.frames.back()
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds a frame; ignores it unless it is newer than the newest one.
    pub fn push(&mut self, frame: Frame, now: f64) {
        let last = self.frames.back().map_or(0, |frame| frame.tick);
        if frame.tick <= last {
            return;
        }
        let tick_zero_at = now - f64::from(frame.tick) * TICK;
        let estimate = self
            .tick_zero_at
            .map_or(tick_zero_at, |known| tick_zero_at.min(known + CLOCK_DRIFT));
        let (lateness, frame_gap) = ((tick_zero_at - estimate) / TICK, f64::from(frame.tick - last));
        if lateness * TICK > PAUSE_MS {
            self.tick_zero_at = Some(tick_zero_at);
        } else {
            self.tick_zero_at = Some(estimate);
            self.lateness = (self.lateness * 0.98).max(lateness.min(15.0));
            if last > 0 {
                self.frame_gap = if frame_gap > self.frame_gap {
                    frame_gap.min(15.0)
                } else {
                    self.frame_gap * 0.97 + frame_gap * 0.03
                };
            }
        }
        self.frames.push_back(frame);
        if self.frames.len() > MAX_FRAMES {
            self.frames.pop_front();
        }
    }

    /// The frames before and after the displayed time, and the position between them from 0 to 1.
    pub fn frames_at(&self, now: f64) -> Option<(&Frame, &Frame, f64)> {
        let newest = self.frames.back()?;
        let playback_tick = (now - self.tick_zero_at?) / TICK - self.frame_gap - self.lateness - 0.5;
        let after = self
            .frames
            .iter()
            .position(|frame| f64::from(frame.tick) > playback_tick);
        let Some(after) = after else {
            return Some((newest, newest, 1.0));
        };
        let newer = self.frames.get(after)?;
        let Some(older) = after.checked_sub(1).and_then(|before| self.frames.get(before)) else {
            return Some((newer, newer, 1.0));
        };
        let (from, to) = (f64::from(older.tick), f64::from(newer.tick));
        Some((older, newer, ((playback_tick - from) / (to - from)).clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tick: u32) -> Frame {
        Frame {
            tick,
            ..Frame::default()
        }
    }

    /// Plays frames that come `frame_gap` ticks apart and up to `jitter` ms late; returns the steps of the displayed time.
    fn steps(frame_gap: u32, jitter: f64) -> Vec<f64> {
        let mut interpolation = Interpolation::default();
        let (mut playback_tick, mut tick) = (Vec::new(), 1);
        for ms in 0..4000 {
            let now = f64::from(ms);
            let due = f64::from(tick) * TICK + f64::from(tick * 7 % 5) / 4.0 * jitter;
            if now >= due {
                interpolation.push(frame(tick), now);
                tick += frame_gap;
            }
            if let Some((older, newer, part)) = interpolation.frames_at(now).filter(|_| ms > 2000 && ms % 16 == 0) {
                playback_tick.push(f64::from(older.tick) + f64::from(newer.tick - older.tick) * part);
            }
        }
        playback_tick.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn the_displayed_time_advances_evenly_at_any_jitter() {
        for (frame_gap, jitter) in [(1, 0.0), (1, 30.0), (4, 0.0), (4, 60.0)] {
            for step in steps(frame_gap, jitter) {
                assert!(
                    (0.2..0.8).contains(&step),
                    "frame_gap {frame_gap}, jitter {jitter}: {step}"
                );
            }
        }
    }

    #[test]
    fn old_frames_are_ignored_and_the_buffer_is_bounded() {
        let mut interpolation = Interpolation::default();
        (1..200).for_each(|tick| interpolation.push(frame(tick), f64::from(tick) * TICK));
        interpolation.push(frame(5), 10_000.0);
        assert_eq!(
            (interpolation.newest().unwrap().tick, interpolation.frames.len()),
            (199, MAX_FRAMES)
        );
        assert!(interpolation.get(150).is_some() && interpolation.get(5).is_none());
    }
}
