//! Players of the arena over real WebSockets, who steer and acknowledge at every frame: what a tick costs the server, what
//! each viewer is sent, and how evenly the frames come. Reads of a frame no more than its tick.

use crate::{
    Result,
    args::Args,
    crowd::Crowd,
    latency::Latencies,
    process::Used,
    socket::{Door, News, Outbox},
};
use std::time::{Duration, Instant};

/// Frames that are due in a second.
const RATE: u32 = 30;
/// A player turns after so many frames; and asks again for a body, for the one it had may have been eaten.
const TURN: u32 = 25;
const AGAIN: u32 = 30;
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Player {
    frames: u32,
    tick: u32,
    /// Of the last intent.
    number: u32,
}

#[derive(Default)]
struct Heard {
    bytes: u64,
    frames: u64,
    /// Of the first player's frames: when the last one came, and how far from its due time each was.
    last: Option<(u32, Instant)>,
    jitter: Latencies,
    counts: bool,
}

pub fn arena(args: &Args) -> Result<()> {
    let (pid, viewers) = (args.number("pid")?, args.number("viewers")? as usize);
    let mut crowd = Crowd::new(args.addr()?)?;
    let mut players: Vec<Player> = (0..viewers).map(|_| Player::default()).collect();
    let mut heard = Heard::default();
    for who in 0..viewers {
        let headers = format!("Cookie: visitor={:032x}\r\n", who + 1);
        crowd.connect(who, &Door { path: "/api/arena", headers })?;
        crowd.turn(Duration::from_millis(1), |who, out, news| hear(&mut players, &mut heard, who, out, news))?;
    }
    let began = Instant::now();
    while players.iter().any(|player| player.frames == 0) {
        if began.elapsed() > PATIENCE {
            return Err("not every player got a frame".into());
        }
        crowd.turn(Duration::from_millis(20), |who, out, news| hear(&mut players, &mut heard, who, out, news))?;
    }
    let mut listen = |players: &mut Vec<Player>, heard: &mut Heard, length: Duration| -> Result<()> {
        let end = Instant::now() + length;
        while Instant::now() < end {
            crowd.turn(Duration::from_millis(20), |who, out, news| hear(players, heard, who, out, news))?;
        }
        Ok(())
    };
    listen(&mut players, &mut heard, args.seconds("warmup")?)?;
    (heard.counts, heard.last) = (true, None);
    let (start, first) = (Used::now(pid)?, players[0].tick);
    listen(&mut players, &mut heard, args.seconds("seconds")?)?;
    let (used, ticks) = (start.until_now()?, players[0].tick - first);
    if ticks == 0 || heard.frames == 0 {
        return Err("no frames came".into());
    }
    let each = viewers as f64 * used.wall;
    println!(
        r#"{{"viewers":{viewers},"ticks_s":{:.2},"cpu_us":{:.1},"bytes_s":{:.0},"frames_s":{:.2},{},{}}}"#,
        f64::from(ticks) / used.wall,
        used.server * 1e6 / f64::from(ticks),
        heard.bytes as f64 / each,
        heard.frames as f64 / each,
        used.busy(),
        heard.jitter.json(),
    );
    Ok(())
}

fn hear(players: &mut [Player], heard: &mut Heard, who: usize, out: &mut Outbox, news: News) -> Result<()> {
    let player = players.get_mut(who).ok_or("a frame for nobody")?;
    if let News::Payload(frame) = news {
        player.tick = tick(frame).ok_or("a frame without a tick")?;
        player.frames += 1;
        if heard.counts {
            heard.bytes += frame.len() as u64;
            heard.frames += 1;
            if who == 0 {
                heard.time(player.tick);
            }
        }
    }
    let say = player.say(who as u32);
    out.binary(&say);
    Ok(())
}

impl Heard {
    fn time(&mut self, tick: u32) {
        let now = Instant::now();
        if let Some((before, at)) = self.last {
            let due = Duration::from_secs(1) * (tick - before) / RATE;
            self.jitter.add((now - at).abs_diff(due));
        }
        self.last = Some((tick, now));
    }
}

impl Player {
    /// The acknowledgement, at times a wish for a body, and one intent: ahead with all one's might, and at times elsewhere.
    fn say(&mut self, who: u32) -> Vec<u8> {
        self.number += 1;
        let mut turn = vec![1];
        number(&mut turn, self.tick);
        number(&mut turn, 0);
        if self.frames.is_multiple_of(AGAIN) {
            turn.push(1);
            number(&mut turn, 1 + self.frames / AGAIN);
            turn.extend([1, b'L']);
        } else {
            turn.push(0);
        }
        number(&mut turn, self.number);
        let heading = (self.frames / TURN).wrapping_mul(97).wrapping_add(who.wrapping_mul(61)) as u8;
        turn.extend([1, heading, 4]);
        turn
    }
}

fn number(to: &mut Vec<u8>, number: u32) {
    let mut rest = number;
    while rest >= 0x80 {
        to.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    to.push(rest as u8);
}

/// Of a binary frame, or of one in JSON.
fn tick(frame: &[u8]) -> Option<u32> {
    if let Some(rest) = frame.strip_prefix(br#"{"tick":"#) {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        return Some(digits.fold(0, |tick, digit| tick * 10 + u32::from(digit - b'0')));
    }
    let mut tick = 0;
    for (place, byte) in frame.get(1..)?.iter().take(5).enumerate() {
        tick |= u32::from(byte & 0x7f) << (7 * place);
        if *byte < 0x80 {
            return Some(tick);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tick_is_read_from_either_frame() {
        assert_eq!(tick(br#"{"tick":1234,"bodies":[]}"#), Some(1234));
        let mut frame = vec![1];
        number(&mut frame, 70_000);
        frame.extend([9, 9]);
        assert_eq!(tick(&frame), Some(70_000));
        assert_eq!(tick(&[1, 0x80]), None);
    }

    #[test]
    fn a_turn_is_as_the_server_reads_it() {
        let mut player = Player { frames: 1, tick: 200, number: 0 };
        assert_eq!(player.say(0), [1, 200, 1, 0, 0, 1, 1, 0, 4]);
        player.frames = AGAIN;
        assert_eq!(player.say(0)[..7], [1, 200, 1, 0, 1, 2, 1]);
    }
}
