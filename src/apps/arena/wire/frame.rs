//! A frame: what one viewer sees at one tick, told as what changed since the frame that the viewer has. Nothing is rounded:
//! places are the simulation's own whole numbers.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::MAX_NAME_BYTES;
use super::bytes::{Garbled, Reader, Writer};
use super::lists::{decode_board, decode_bodies, decode_motes, encode_board, encode_bodies, encode_motes};
use crate::apps::arena::model::body::BREATH;
use crate::apps::arena::model::world::Mote;

pub const SEEN_BOOSTING: u8 = 1;
pub const SEEN_SHIELDED: u8 = 2;
/// Its player is gone, and may come back.
pub const SEEN_AWAY: u8 = 4;

/// Rows of the leaderboard.
pub const MAX_BOARD: usize = 10;

const VERSION: u8 = 1;

/// A body as others see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    pub id: u16,
    /// Empty: none was chosen.
    pub name: String,
    pub x: u16,
    pub y: u16,
    pub mass: u32,
    pub flags: u8,
}

/// A place on the leaderboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub id: u16,
    pub name: String,
    pub mass: u32,
}

/// What the viewer is in the world.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Role {
    #[default]
    Watching,
    /// Played, until this one ate them.
    Eaten { by: u16, name: String },
    /// The same person plays in another window.
    Elsewhere,
    /// There is no place for another body.
    Full,
    /// What only its own player is told of a body, and needs to move it ahead of the server.
    Playing {
        vx: i32,
        vy: i32,
        breath: u8,
        boosting: bool,
        shield: u16,
    },
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Of the server, since it was started; from 1.
    pub tick: u32,
    pub round: u32,
    /// Of the round: the thorns follow from it.
    pub seed: u64,
    /// Seconds until the round ends.
    pub left: u16,
    /// The newest of the viewer's intents that moved its body.
    pub acked: u32,
    /// The newest of its wishes that was heard.
    pub wish: u32,
    /// The stamp of its newest turn, and for how many milliseconds the server has had that.
    pub echo: u32,
    pub held: u32,
    pub players: u16,
    pub watchers: u16,
    pub role: Role,
    /// The body that the viewer follows; 0: none is there.
    pub focus: u16,
    /// The middle of what is seen.
    pub at: (u16, u16),
    /// Of the body that is followed.
    pub rank: u16,
    /// The viewer's score in this life, or in the last one.
    pub peak: u32,
    /// By id.
    pub bodies: Vec<Seen>,
    /// By id.
    pub motes: Vec<Mote>,
    pub board: Arc<[Row]>,
}

impl View {
    /// `base`: a view that the viewer has; without one the frame is whole.
    pub fn encode(&self, base: Option<&Self>) -> Vec<u8> {
        let nothing = Self::default();
        let known = base.unwrap_or(&nothing);
        let mut to = Writer(Vec::with_capacity(256));
        to.byte(VERSION);
        to.number(self.tick);
        to.number(base.map_or(0, |base| self.tick.wrapping_sub(base.tick)));
        self.encode_head(known, &mut to);
        encode_role(&self.role, &mut to);
        encode_bodies(&self.bodies, &known.bodies, &mut to);
        encode_motes(&self.motes, &known.motes, &mut to);
        if self.board == known.board {
            to.byte(0);
        } else {
            to.byte(1);
            encode_board(&self.board, &mut to);
        }
        to.0
    }

    fn encode_head(&self, known: &Self, to: &mut Writer) {
        if (self.round, self.seed) == (known.round, known.seed) {
            to.byte(0);
        } else {
            to.byte(1);
            to.number(self.round);
            to.wide(self.seed);
        }
        for small in [self.left, self.players, self.watchers, self.focus, self.rank] {
            to.number(small.into());
        }
        for number in [self.acked, self.wish, self.echo, self.held, self.peak] {
            to.number(number);
        }
        to.pair(self.at.0);
        to.pair(self.at.1);
    }

    /// `base` finds the view of a tick, if the viewer still has it.
    pub fn decode<'b>(bytes: &[u8], base: impl FnOnce(u32) -> Option<&'b Self>) -> Result<Self, Garbled> {
        let mut from = Reader(bytes);
        if from.byte()? != VERSION {
            return Err(Garbled);
        }
        let nothing = Self::default();
        let tick = from.number()?;
        let known = match from.number()? {
            0 => &nothing,
            back => base(tick.wrapping_sub(back)).ok_or(Garbled)?,
        };
        let mut view = Self {
            tick,
            ..Self::default()
        };
        view.decode_head(known, &mut from)?;
        view.role = decode_role(&mut from)?;
        view.bodies = decode_bodies(&known.bodies, &mut from)?;
        view.motes = decode_motes(&known.motes, &mut from)?;
        view.board = match from.byte()? {
            0 => Arc::clone(&known.board),
            1 => decode_board(&mut from)?,
            _ => return Err(Garbled),
        };
        from.end()?;
        Ok(view)
    }

    fn decode_head(&mut self, known: &Self, from: &mut Reader) -> Result<(), Garbled> {
        (self.round, self.seed) = match from.byte()? {
            0 => (known.round, known.seed),
            1 => (from.number()?, from.wide()?),
            _ => return Err(Garbled),
        };
        for small in [
            &mut self.left,
            &mut self.players,
            &mut self.watchers,
            &mut self.focus,
            &mut self.rank,
        ] {
            *small = from.small()?;
        }
        for number in [
            &mut self.acked,
            &mut self.wish,
            &mut self.echo,
            &mut self.held,
            &mut self.peak,
        ] {
            *number = from.number()?;
        }
        self.at = (from.pair()?, from.pair()?);
        Ok(())
    }

    pub fn body(&self, id: u16) -> Option<&Seen> {
        let at = self.bodies.binary_search_by_key(&id, |seen| seen.id).ok()?;
        self.bodies.get(at)
    }
}

/// The tick of a frame and of the one that it builds on, without reading on.
pub fn tick_of(bytes: &[u8]) -> Result<u32, Garbled> {
    let mut from = Reader(bytes);
    from.byte()?;
    from.number()
}

fn encode_role(role: &Role, to: &mut Writer) {
    match role {
        Role::Watching => to.byte(0),
        Role::Eaten { by, name } => {
            to.byte(1);
            to.number((*by).into());
            to.text(name);
        }
        Role::Elsewhere => to.byte(2),
        Role::Full => to.byte(3),
        Role::Playing {
            vx,
            vy,
            breath,
            boosting,
            shield,
        } => {
            to.byte(4 + u8::from(*boosting));
            to.signed(*vx);
            to.signed(*vy);
            to.byte(*breath);
            to.number((*shield).into());
        }
    }
}

fn decode_role(from: &mut Reader) -> Result<Role, Garbled> {
    Ok(match from.byte()? {
        0 => Role::Watching,
        1 => Role::Eaten {
            by: from.small()?,
            name: from.text(MAX_NAME_BYTES)?.to_owned(),
        },
        2 => Role::Elsewhere,
        3 => Role::Full,
        kind @ (4 | 5) => Role::Playing {
            boosting: kind == 5,
            vx: speed(from)?,
            vy: speed(from)?,
            breath: Some(from.byte()?).filter(|breath| *breath <= BREATH).ok_or(Garbled)?,
            shield: from.small()?,
        },
        _ => return Err(Garbled),
    })
}

/// Far above what any body can reach: what is computed with it cannot overflow.
fn speed(from: &mut Reader) -> Result<i32, Garbled> {
    Some(from.signed()?).filter(|speed| speed.abs() <= 4096).ok_or(Garbled)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::apps::arena::model::body::HEAVIEST;
    use crate::apps::arena::model::sight::{Names, Scene, board, half_view};
    use crate::apps::arena::model::world::{Event, MAX_BODIES, MAX_MOTES, World};

    fn seen() -> impl Strategy<Value = Seen> {
        ("[가a]{0,3}", any::<(u16, u16)>(), 0..=HEAVIEST, any::<u8>()).prop_map(|(name, (x, y), mass, flags)| Seen {
            id: 0,
            name,
            x,
            y,
            mass,
            flags,
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
                0..=BREATH,
                any::<bool>(),
                any::<u16>()
            )
                .prop_map(|(vx, vy, breath, boosting, shield)| Role::Playing {
                    vx,
                    vy,
                    breath,
                    boosting,
                    shield
                }),
        ]
    }

    fn views() -> impl Strategy<Value = View> {
        let bodies = prop::collection::btree_map(0..60_u16, seen(), 0..20);
        let motes = prop::collection::btree_map(
            0..200_u16,
            any::<(u16, u16)>().prop_flat_map(|at| (Just(at), 1..=255_u8)),
            0..40,
        );
        let board = prop::collection::vec((any::<u16>(), "[b ]{0,4}", 0..=HEAVIEST), 0..=MAX_BOARD);
        let head = (
            1..1000_u32,
            any::<(u32, u64)>(),
            any::<[u16; 5]>(),
            any::<[u32; 5]>(),
            any::<(u16, u16)>(),
        );
        (head, role(), bodies, motes, board).prop_map(
            |((tick, (round, seed), small, numbers, at), role, bodies, motes, board)| {
                let [left, players, watchers, focus, rank] = small;
                let [acked, wish, echo, held, peak] = numbers;
                let bodies: BTreeMap<u16, Seen> = bodies;
                View {
                    tick,
                    round,
                    seed,
                    left,
                    acked,
                    wish,
                    echo,
                    held,
                    players,
                    watchers,
                    role,
                    focus,
                    at,
                    rank,
                    peak,
                    bodies: bodies.into_iter().map(|(id, seen)| Seen { id, ..seen }).collect(),
                    motes: motes
                        .into_iter()
                        .map(|(id, ((x, y), value))| Mote { id, x, y, value })
                        .collect(),
                    board: board
                        .into_iter()
                        .map(|(id, name, mass)| Row { id, name, mass })
                        .collect(),
                }
            },
        )
    }

    proptest! {
        #[test]
        fn a_frame_is_read_as_it_was_seen(mut view in views(), base in views()) {
            prop_assert_eq!(View::decode(&view.encode(None), |_| None), Ok(view.clone()));
            view.tick = base.tick + 3;
            let bytes = view.encode(Some(&base));
            prop_assert_eq!(View::decode(&bytes, |tick| (tick == base.tick).then_some(&base)), Ok(view.clone()));
            prop_assert_eq!(View::decode(&bytes, |_| None), Err(Garbled));
            prop_assert_eq!(tick_of(&bytes), Ok(view.tick));
        }

        #[test]
        fn garbage_is_no_frame_and_no_panic(mut bytes: Vec<u8>, base in views()) {
            let _ = View::decode(&bytes, |_| Some(&base));
            bytes.insert(0, VERSION);
            let _ = View::decode(&bytes, |_| Some(&base));
        }

        #[test]
        fn a_frame_with_a_wrong_byte_is_no_panic(view in views(), base in views(), at: prop::sample::Index, byte: u8) {
            let mut bytes = view.encode(Some(&base));
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(read) = View::decode(&bytes, |_| Some(&base)) {
                prop_assert!(read.bodies.len() <= MAX_BODIES && read.motes.len() <= MAX_MOTES);
            }
        }
    }

    /// Of what a lone player is told in a tick, most is what did not change.
    #[test]
    fn a_delta_is_small() {
        let mut world = World::new(9);
        (0..600).for_each(|_| drop(world.step(&[Event::Enter(1)])));
        let names = Arc::new(Names::new());
        let view = |world: &World| {
            let scene = Scene::of(world, &names, Vec::new(), &board(world, &names));
            let me = scene.body(1).unwrap();
            let (bodies, motes) = scene.look((me.motion.x, me.motion.y), half_view(me.mass));
            View {
                tick: world.tick,
                bodies,
                motes,
                board: scene.board,
                ..View::default()
            }
        };
        let before = view(&world);
        world.step(&[]);
        let now = view(&world);
        let (whole, delta) = (now.encode(None).len(), now.encode(Some(&before)).len());
        assert!(delta < 120 && delta * 5 < whole, "{delta} of {whole}");
    }
}
