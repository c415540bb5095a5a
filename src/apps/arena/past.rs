//! The frames that came, and which two of them are shown now: the others' bodies are drawn between them, a little in the past.
//! Pure; times are milliseconds of the page's clock.

use std::collections::VecDeque;

use super::model::body::RATE;
use super::wire::frame::View;

/// Views that are kept: what the server may build a frame on.
const KEPT: usize = 64;
const TICK: f64 = 1000.0 / RATE as f64;
/// How fast the guess of the server's clock forgets a quick frame, in milliseconds for each frame.
const DRIFT: f64 = 0.05;
/// A frame that is this much later than expected means that everything is: a pause, not a jitter.
const PAUSE: f64 = 1500.0;

#[derive(Debug, Default)]
pub struct Past {
    views: VecDeque<View>,
    /// When tick 0 was, by the quickest frame.
    zero: Option<f64>,
    /// Ticks between two frames, and how late they come, in ticks: both smoothed.
    gap: f64,
    late: f64,
}

impl Past {
    pub fn find(&self, tick: u32) -> Option<&View> {
        self.views.iter().rev().find(|view| view.tick == tick)
    }

    pub fn newest(&self) -> Option<&View> {
        self.views.back()
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// A frame that is not newer than the newest is nothing.
    pub fn add(&mut self, view: View, now: f64) {
        let last = self.views.back().map_or(0, |view| view.tick);
        if view.tick <= last {
            return;
        }
        let zero = now - f64::from(view.tick) * TICK;
        let guess = self.zero.map_or(zero, |known| zero.min(known + DRIFT));
        let (late, gap) = ((zero - guess) / TICK, f64::from(view.tick - last));
        if late * TICK > PAUSE {
            self.zero = Some(zero);
        } else {
            self.zero = Some(guess);
            self.late = (self.late * 0.98).max(late.min(15.0));
            if last > 0 {
                self.gap = if gap > self.gap {
                    gap.min(15.0)
                } else {
                    self.gap * 0.97 + gap * 0.03
                };
            }
        }
        self.views.push_back(view);
        if self.views.len() > KEPT {
            self.views.pop_front();
        }
    }

    /// The view before and the view after the moment that is shown, and how far it is from the one to the other.
    pub fn at(&self, now: f64) -> Option<(&View, &View, f64)> {
        let newest = self.views.back()?;
        let shown = (now - self.zero?) / TICK - self.gap - self.late - 0.5;
        let after = self.views.iter().position(|view| f64::from(view.tick) > shown);
        let Some(after) = after else {
            return Some((newest, newest, 1.0));
        };
        let newer = self.views.get(after)?;
        let Some(older) = after.checked_sub(1).and_then(|before| self.views.get(before)) else {
            return Some((newer, newer, 1.0));
        };
        let (from, to) = (f64::from(older.tick), f64::from(newer.tick));
        Some((older, newer, ((shown - from) / (to - from)).clamp(0.0, 1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(tick: u32) -> View {
        View {
            tick,
            ..View::default()
        }
    }

    /// Plays frames that come `gap` ticks apart and up to `jitter` ms late, and says how the shown moment advances.
    fn steps(gap: u32, jitter: f64) -> Vec<f64> {
        let mut past = Past::default();
        let (mut shown, mut tick) = (Vec::new(), 1);
        for ms in 0..4000 {
            let now = f64::from(ms);
            let due = f64::from(tick) * TICK + f64::from(tick * 7 % 5) / 4.0 * jitter;
            if now >= due {
                past.add(view(tick), now);
                tick += gap;
            }
            if let Some((older, newer, part)) = past.at(now).filter(|_| ms > 2000 && ms % 16 == 0) {
                shown.push(f64::from(older.tick) + f64::from(newer.tick - older.tick) * part);
            }
        }
        shown.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }

    #[test]
    fn time_goes_on_evenly_whatever_the_line() {
        for (gap, jitter) in [(1, 0.0), (1, 30.0), (4, 0.0), (4, 60.0)] {
            for step in steps(gap, jitter) {
                assert!((0.2..0.8).contains(&step), "gap {gap}, jitter {jitter}: {step}");
            }
        }
    }

    #[test]
    fn old_frames_are_nothing_and_few_are_kept() {
        let mut past = Past::default();
        (1..200).for_each(|tick| past.add(view(tick), f64::from(tick) * TICK));
        past.add(view(5), 10_000.0);
        assert_eq!((past.newest().unwrap().tick, past.views.len()), (199, KEPT));
        assert!(past.find(150).is_some() && past.find(5).is_none());
    }
}
