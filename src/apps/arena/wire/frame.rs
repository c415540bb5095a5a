//! A frame: what one viewer sees at one tick, delta-encoded against the newest frame that the viewer acknowledged. Positions are
//! exact simulation integers.

use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

use super::MAX_NAME_BYTES;
use super::bytes::{DecodeError, Reader, Writer};
use super::lists::{decode_bodies, decode_leaderboard, decode_motes, encode_bodies, encode_leaderboard, encode_motes};
use crate::apps::arena::model::body::MAX_ENERGY;
use crate::apps::arena::model::world::Mote;

pub const FLAG_BOOSTING: u8 = 1;
pub const FLAG_SHIELDED: u8 = 2;
/// The body's player is disconnected and is within the grace period.
pub const FLAG_DISCONNECTED: u8 = 4;

/// Rows of the leaderboard.
pub const MAX_LEADERBOARD: usize = 10;

const VERSION: u8 = 1;

/// A body as other viewers see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VisibleBody {
    pub id: u16,
    /// Empty if the player chose none. Shared by the frames of all viewers.
    #[serde(serialize_with = "serialize_name")]
    pub name: Arc<str>,
    pub x: u16,
    pub y: u16,
    pub mass: u32,
    pub flags: u8,
}

fn serialize_name<S: Serializer>(name: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name)
}

/// A row of the leaderboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaderboardRow {
    pub id: u16,
    pub name: String,
    pub mass: u32,
}

/// The viewer's role in the game.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Role {
    #[default]
    Watching,
    /// The viewer's body was eaten by this one.
    Eaten { by: u16, name: String },
    /// The same person took over the body in another window or device.
    Elsewhere,
    /// The game has no room for another player.
    Full,
    /// The viewer is playing; carries the private state that its prediction needs.
    Playing {
        vx: i32,
        vy: i32,
        energy: u8,
        boosting: bool,
        shield: u16,
    },
}

/// A decoded frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// Ticks since the server started, from 1.
    pub tick: u32,
    pub round: u32,
    /// The round's seed, which determines the thorns.
    pub seed: u64,
    /// Seconds until the round ends.
    pub seconds_left: u16,
    /// The number of the viewer's newest input that moved its body.
    pub acked_input: u32,
    /// The number of the viewer's newest request that the server handled.
    pub acked_request: u32,
    /// The timestamp of the viewer's newest input message.
    pub timestamp_echo: u32,
    /// Milliseconds since the server received that message.
    pub echo_delay: u32,
    pub players: u16,
    pub watchers: u16,
    pub role: Role,
    /// The body that the viewer follows; 0 for none.
    pub focus: u16,
    /// The middle of the visible part of the world.
    pub center: (u16, u16),
    /// The rank of the followed body.
    pub rank: u16,
    /// The viewer's score in its present or last life.
    pub peak: u32,
    /// Sorted by id.
    pub bodies: Vec<VisibleBody>,
    /// Sorted by id.
    pub motes: Vec<Mote>,
    pub leaderboard: Arc<[LeaderboardRow]>,
}

impl Frame {
    /// Encodes the changes since `baseline`, a frame that the viewer has; without one, the full frame.
    pub fn encode(&self, baseline: Option<&Self>) -> Vec<u8> {
        let empty = Self::default();
        let base = baseline.unwrap_or(&empty);
        let mut writer = Writer(Vec::with_capacity(256));
        writer.byte(VERSION);
        writer.varint(self.tick);
        writer.varint(baseline.map_or(0, |base| self.tick.wrapping_sub(base.tick)));
        self.encode_head(base, &mut writer);
        encode_role(&self.role, &mut writer);
        encode_bodies(&self.bodies, &base.bodies, &mut writer);
        encode_motes(&self.motes, &base.motes, &mut writer);
        if self.leaderboard == base.leaderboard {
            writer.byte(0);
        } else {
            writer.byte(1);
            encode_leaderboard(&self.leaderboard, &mut writer);
        }
        writer.0
    }

    fn encode_head(&self, base: &Self, writer: &mut Writer) {
        if (self.round, self.seed) == (base.round, base.seed) {
            writer.byte(0);
        } else {
            writer.byte(1);
            writer.varint(self.round);
            writer.u64_le(self.seed);
        }
        for small in [self.seconds_left, self.players, self.watchers, self.focus, self.rank] {
            writer.varint(small.into());
        }
        for number in [
            self.acked_input,
            self.acked_request,
            self.timestamp_echo,
            self.echo_delay,
            self.peak,
        ] {
            writer.varint(number);
        }
        writer.u16_le(self.center.0);
        writer.u16_le(self.center.1);
    }

    /// Decodes a frame; `baseline` returns the frame of a tick, if the viewer still has it.
    pub fn decode<'b>(bytes: &[u8], baseline: impl FnOnce(u32) -> Option<&'b Self>) -> Result<Self, DecodeError> {
        let mut reader = Reader(bytes);
        if reader.byte()? != VERSION {
            return Err(DecodeError);
        }
        let empty = Self::default();
        let tick = reader.varint()?;
        let base = match reader.varint()? {
            0 => &empty,
            back => baseline(tick.wrapping_sub(back)).ok_or(DecodeError)?,
        };
        let mut frame = Self {
            tick,
            ..Self::default()
        };
        frame.decode_head(base, &mut reader)?;
        frame.role = decode_role(&mut reader)?;
        frame.bodies = decode_bodies(&base.bodies, &mut reader)?;
        frame.motes = decode_motes(&base.motes, &mut reader)?;
        frame.leaderboard = match reader.byte()? {
            0 => Arc::clone(&base.leaderboard),
            1 => decode_leaderboard(&mut reader)?,
            _ => return Err(DecodeError),
        };
        reader.finish()?;
        Ok(frame)
    }

    fn decode_head(&mut self, base: &Self, reader: &mut Reader) -> Result<(), DecodeError> {
        (self.round, self.seed) = match reader.byte()? {
            0 => (base.round, base.seed),
            1 => (reader.varint()?, reader.u64_le()?),
            _ => return Err(DecodeError),
        };
        for small in [
            &mut self.seconds_left,
            &mut self.players,
            &mut self.watchers,
            &mut self.focus,
            &mut self.rank,
        ] {
            *small = reader.varint_u16()?;
        }
        for number in [
            &mut self.acked_input,
            &mut self.acked_request,
            &mut self.timestamp_echo,
            &mut self.echo_delay,
            &mut self.peak,
        ] {
            *number = reader.varint()?;
        }
        self.center = (reader.u16_le()?, reader.u16_le()?);
        Ok(())
    }

    pub fn body(&self, id: u16) -> Option<&VisibleBody> {
        let at = self.bodies.binary_search_by_key(&id, |body| body.id).ok()?;
        self.bodies.get(at)
    }
}

/// The tick of a frame, without decoding the rest.
pub fn frame_tick(bytes: &[u8]) -> Result<u32, DecodeError> {
    let mut reader = Reader(bytes);
    reader.byte()?;
    reader.varint()
}

fn encode_role(role: &Role, writer: &mut Writer) {
    match role {
        Role::Watching => writer.byte(0),
        Role::Eaten { by, name } => {
            writer.byte(1);
            writer.varint((*by).into());
            writer.text(name);
        }
        Role::Elsewhere => writer.byte(2),
        Role::Full => writer.byte(3),
        Role::Playing {
            vx,
            vy,
            energy,
            boosting,
            shield,
        } => {
            writer.byte(4 + u8::from(*boosting));
            writer.signed_varint(*vx);
            writer.signed_varint(*vy);
            writer.byte(*energy);
            writer.varint((*shield).into());
        }
    }
}

fn decode_role(reader: &mut Reader) -> Result<Role, DecodeError> {
    Ok(match reader.byte()? {
        0 => Role::Watching,
        1 => Role::Eaten {
            by: reader.varint_u16()?,
            name: reader.text(MAX_NAME_BYTES)?.to_owned(),
        },
        2 => Role::Elsewhere,
        3 => Role::Full,
        kind @ (4 | 5) => Role::Playing {
            boosting: kind == 5,
            vx: speed(reader)?,
            vy: speed(reader)?,
            energy: Some(reader.byte()?)
                .filter(|energy| *energy <= MAX_ENERGY)
                .ok_or(DecodeError)?,
            shield: reader.varint_u16()?,
        },
        _ => return Err(DecodeError),
    })
}

/// Reads a speed. The bound is far above any body's top speed and keeps later arithmetic from overflowing.
fn speed(reader: &mut Reader) -> Result<i32, DecodeError> {
    Some(reader.signed_varint()?)
        .filter(|speed| speed.abs() <= 4096)
        .ok_or(DecodeError)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::apps::arena::model::body::MAX_MASS;
    use crate::apps::arena::model::visibility::{Names, WorldSnapshot, leaderboard, view_radius};
    use crate::apps::arena::model::world::{Event, MAX_BODIES, MAX_MOTES, World};

    fn body() -> impl Strategy<Value = VisibleBody> {
        ("[가a]{0,3}", any::<(u16, u16)>(), 0..=MAX_MASS, any::<u8>()).prop_map(|(name, (x, y), mass, flags)| {
            VisibleBody {
                id: 0,
                name: name.into(),
                x,
                y,
                mass,
                flags,
            }
        })
    }

    fn role() -> impl Strategy<Value = Role> {
        prop_oneof![
            Just(Role::Watching),
            Just(Role::Elsewhere),
            Just(Role::Full),
            any::<u16>().prop_map(|by| Role::Eaten {
                by,
                name: "Kim".to_owned()
            }),
            (
                -4096..=4096_i32,
                -4096..=4096_i32,
                0..=MAX_ENERGY,
                any::<bool>(),
                any::<u16>()
            )
                .prop_map(|(vx, vy, energy, boosting, shield)| Role::Playing {
                    vx,
                    vy,
                    energy,
                    boosting,
                    shield
                }),
        ]
    }

    fn frames() -> impl Strategy<Value = Frame> {
        let bodies = prop::collection::btree_map(0..60_u16, body(), 0..20);
        let motes = prop::collection::btree_map(
            0..200_u16,
            any::<(u16, u16)>().prop_flat_map(|at| (Just(at), 1..=255_u8)),
            0..40,
        );
        let leaderboard = prop::collection::vec((any::<u16>(), "[b ]{0,4}", 0..=MAX_MASS), 0..=MAX_LEADERBOARD);
        let head = (
            1..1000_u32,
            any::<(u32, u64)>(),
            any::<[u16; 5]>(),
            any::<[u32; 5]>(),
            any::<(u16, u16)>(),
        );
        (head, role(), bodies, motes, leaderboard).prop_map(
            |((tick, (round, seed), small, numbers, center), role, bodies, motes, leaderboard)| {
                let [seconds_left, players, watchers, focus, rank] = small;
                let [acked_input, acked_request, timestamp_echo, echo_delay, peak] = numbers;
                let bodies: BTreeMap<u16, VisibleBody> = bodies;
                Frame {
                    tick,
                    round,
                    seed,
                    seconds_left,
                    acked_input,
                    acked_request,
                    timestamp_echo,
                    echo_delay,
                    players,
                    watchers,
                    role,
                    focus,
                    center,
                    rank,
                    peak,
                    bodies: bodies
                        .into_iter()
                        .map(|(id, body)| VisibleBody { id, ..body })
                        .collect(),
                    motes: motes
                        .into_iter()
                        .map(|(id, ((x, y), value))| Mote { id, x, y, value })
                        .collect(),
                    leaderboard: leaderboard
                        .into_iter()
                        .map(|(id, name, mass)| LeaderboardRow { id, name, mass })
                        .collect(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn frames_round_trip(mut frame in frames(), base in frames()) {
            prop_assert_eq!(Frame::decode(&frame.encode(None), |_| None), Ok(frame.clone()));
            frame.tick = base.tick + 3;
            let bytes = frame.encode(Some(&base));
            prop_assert_eq!(Frame::decode(&bytes, |tick| (tick == base.tick).then_some(&base)), Ok(frame.clone()));
            prop_assert_eq!(Frame::decode(&bytes, |_| None), Err(DecodeError));
            prop_assert_eq!(frame_tick(&bytes), Ok(frame.tick));
        }

        #[test]
        fn invalid_bytes_do_not_panic(mut bytes: Vec<u8>, base in frames()) {
            let _ = Frame::decode(&bytes, |_| Some(&base));
            bytes.insert(0, VERSION);
            let _ = Frame::decode(&bytes, |_| Some(&base));
        }

        #[test]
        fn a_corrupted_frame_does_not_panic_or_exceed_limits(frame in frames(), base in frames(), at: prop::sample::Index, byte: u8) {
            let mut bytes = frame.encode(Some(&base));
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = Frame::decode(&bytes, |_| Some(&base)) {
                prop_assert!(read.bodies.len() <= MAX_BODIES && read.motes.len() <= MAX_MOTES);
            }
        }
    }

    /// Most of what a lone player sees does not change in a tick.
    #[test]
    fn a_delta_is_small() {
        let mut world = World::new(9);
        (0..600).for_each(|_| drop(world.step(&[Event::Enter(1)])));
        let names = Names::new();
        let frame = |world: &World| {
            let snapshot = WorldSnapshot::new(world, &names, &[], &leaderboard(world, &names));
            let me = snapshot.body(1).unwrap();
            let (bodies, motes) = snapshot.visible((me.motion.x, me.motion.y), view_radius(me.mass));
            Frame {
                tick: world.tick,
                bodies,
                motes,
                leaderboard: snapshot.leaderboard,
                ..Frame::default()
            }
        };
        let before = frame(&world);
        world.step(&[]);
        let now = frame(&world);
        let (whole, delta) = (now.encode(None).len(), now.encode(Some(&before)).len());
        assert!(delta < 120 && delta * 5 < whole, "{delta} of {whole}");
    }
}
