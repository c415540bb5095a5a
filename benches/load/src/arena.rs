//! Arena players over real WebSockets, which steer and acknowledge every frame. Measures the server's CPU per tick, the bytes to each
//! viewer, and the jitter of frames. Of a frame only the tick is decoded.

use crate::{
    Result,
    args::Args,
    clients::Clients,
    latency::Latencies,
    process::CpuUsage,
    socket::{Endpoint, Outbox, SocketEvent},
};
use std::time::{Duration, Instant};

/// Frames per second.
const RATE: u32 = 30;
/// Frames after which a player turns.
const TURN_FRAMES: u32 = 25;
/// Frames after which a player requests a new body, since its body may have been eaten.
const RESPAWN_FRAMES: u32 = 30;
const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Player {
    frames: u32,
    tick: u32,
    /// The number of the last intent.
    intent: u32,
}

#[derive(Default)]
struct FrameStats {
    bytes: u64,
    frames: u64,
    /// The first player's last frame and its time of arrival, and the distance of each frame from its due time.
    last: Option<(u32, Instant)>,
    jitter: Latencies,
    is_counting: bool,
}

pub fn arena(args: &Args) -> Result<()> {
    let (pid, viewers) = (args.number("pid")?, args.number("viewers")? as usize);
    let mut clients = Clients::new(args.addr()?)?;
    let mut players: Vec<Player> = (0..viewers).map(|_| Player::default()).collect();
    let mut stats = FrameStats::default();
    for player_id in 0..viewers {
        let headers = format!("Cookie: visitor={:032x}\r\n", player_id + 1);
        clients.connect(
            player_id,
            &Endpoint {
                path: "/api/arena",
                headers,
                deflate: false,
            },
        )?;
        clients.poll(Duration::from_millis(1), |player_id, out, event| {
            on_event(&mut players, &mut stats, player_id, out, event)
        })?;
    }
    let began = Instant::now();
    while players.iter().any(|player| player.frames == 0) {
        if began.elapsed() > TIMEOUT {
            return Err("not every player received a frame".into());
        }
        clients.poll(Duration::from_millis(20), |player_id, out, event| {
            on_event(&mut players, &mut stats, player_id, out, event)
        })?;
    }
    let mut run = |players: &mut Vec<Player>, stats: &mut FrameStats, duration: Duration| -> Result<()> {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            clients.poll(Duration::from_millis(20), |player_id, out, event| {
                on_event(players, stats, player_id, out, event)
            })?;
        }
        Ok(())
    };
    run(&mut players, &mut stats, args.seconds("warmup")?)?;
    (stats.is_counting, stats.last) = (true, None);
    let (start, first) = (CpuUsage::now(pid)?, players[0].tick);
    run(&mut players, &mut stats, args.seconds("seconds")?)?;
    let (used, ticks) = (start.since_start()?, players[0].tick - first);
    if ticks == 0 || stats.frames == 0 {
        return Err("no frames were received".into());
    }
    let each = viewers as f64 * used.wall;
    println!(
        r#"{{"viewers":{viewers},"ticks_s":{:.2},"cpu_us":{:.1},"bytes_s":{:.0},"frames_s":{:.2},{},{}}}"#,
        f64::from(ticks) / used.wall,
        used.server * 1e6 / f64::from(ticks),
        stats.bytes as f64 / each,
        stats.frames as f64 / each,
        used.busy(),
        stats.jitter.json(),
    );
    Ok(())
}

fn on_event(
    players: &mut [Player],
    stats: &mut FrameStats,
    player_id: usize,
    out: &mut Outbox,
    event: SocketEvent,
) -> Result<()> {
    let player = players.get_mut(player_id).ok_or("a frame for an unknown player")?;
    if let SocketEvent::Payload { payload: frame, .. } = event {
        player.tick = tick(frame).ok_or("a frame without a tick")?;
        player.frames += 1;
        if stats.is_counting {
            stats.bytes += frame.len() as u64;
            stats.frames += 1;
            if player_id == 0 {
                stats.record_jitter(player.tick);
            }
        }
    }
    let turn = player.next_turn(player_id as u32);
    out.binary(&turn);
    Ok(())
}

impl FrameStats {
    fn record_jitter(&mut self, tick: u32) {
        let now = Instant::now();
        if let Some((before, at)) = self.last {
            let due = Duration::from_secs(1) * (tick - before) / RATE;
            self.jitter.add((now - at).abs_diff(due));
        }
        self.last = Some((tick, now));
    }
}

impl Player {
    /// The acknowledgement, sometimes a request for a body, and one intent: full speed ahead, in a direction that changes at times.
    fn next_turn(&mut self, player_id: u32) -> Vec<u8> {
        self.intent += 1;
        let mut turn = vec![1];
        push_varint(&mut turn, self.tick);
        push_varint(&mut turn, 0);
        if self.frames.is_multiple_of(RESPAWN_FRAMES) {
            turn.push(1);
            push_varint(&mut turn, 1 + self.frames / RESPAWN_FRAMES);
            turn.extend([1, b'L']);
        } else {
            turn.push(0);
        }
        push_varint(&mut turn, self.intent);
        let heading = (self.frames / TURN_FRAMES)
            .wrapping_mul(97)
            .wrapping_add(player_id.wrapping_mul(61)) as u8;
        turn.extend([1, heading, 4]);
        turn
    }
}

fn push_varint(out: &mut Vec<u8>, value: u32) {
    let mut rest = value;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The tick of a frame, binary or JSON.
fn tick(frame: &[u8]) -> Option<u32> {
    if let Some(rest) = frame.strip_prefix(br#"{"tick":"#) {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        return Some(digits.fold(0, |tick, digit| tick * 10 + u32::from(digit - b'0')));
    }
    let mut tick = 0;
    for (index, byte) in frame.get(1..)?.iter().take(5).enumerate() {
        tick |= u32::from(byte & 0x7f) << (7 * index);
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
    fn the_tick_is_decoded_from_both_encodings() {
        assert_eq!(tick(br#"{"tick":1234,"bodies":[]}"#), Some(1234));
        let mut frame = vec![1];
        push_varint(&mut frame, 70_000);
        frame.extend([9, 9]);
        assert_eq!(tick(&frame), Some(70_000));
        assert_eq!(tick(&[1, 0x80]), None);
    }

    #[test]
    fn a_turn_has_the_servers_encoding() {
        let mut player = Player {
            frames: 1,
            tick: 200,
            intent: 0,
        };
        assert_eq!(player.next_turn(0), [1, 200, 1, 0, 0, 1, 1, 0, 4]);
        player.frames = RESPAWN_FRAMES;
        assert_eq!(player.next_turn(0)[..7], [1, 200, 1, 0, 1, 2, 1]);
    }
}
