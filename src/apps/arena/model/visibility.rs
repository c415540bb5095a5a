//! The part of a world that is visible from a position, for the server's frames and for replays. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::body::{WORLD_SIZE, radius};
use super::position_index::PositionIndex;
use super::world::{Body, Mote, World};
use crate::apps::arena::wire::frame::{
    FLAG_BOOSTING, FLAG_DISCONNECTED, FLAG_SHIELDED, LeaderboardRow, MAX_LEADERBOARD, VisibleBody,
};

/// The viewing distance in each direction, in sixteenths of a unit; wide bodies see farther.
const VIEW_RADIUS: i32 = 640 * 16;

/// The names that players chose, by body id.
pub type Names = BTreeMap<u16, Arc<str>>;

/// A copy of the world between two ticks, shared by all viewers.
#[derive(Debug, Clone)]
pub struct WorldSnapshot {
    /// Sorted by id.
    pub bodies: Vec<Body>,
    /// The same bodies as viewers see them, with their radius.
    visible_bodies: Vec<(VisibleBody, i32)>,
    body_index: PositionIndex,
    max_radius: i32,
    /// Sorted by id.
    pub motes: Vec<Mote>,
    mote_index: PositionIndex,
    pub leaderboard: Arc<[LeaderboardRow]>,
}

pub fn view_radius(mass: u32) -> i32 {
    VIEW_RADIUS + 2 * radius(mass)
}

impl WorldSnapshot {
    /// `disconnected` contains the ids of bodies whose player is disconnected, sorted.
    pub fn new(world: &World, names: &Names, disconnected: &[u16], leaderboard: &Arc<[LeaderboardRow]>) -> Self {
        let visible = |body: &Body| (visible_body(body, names, disconnected), radius(body.mass));
        let visible_bodies: Vec<_> = world.bodies().iter().map(visible).collect();
        let motes: Vec<_> = world.motes().copied().collect();
        let body_positions = visible_bodies.iter().map(|(body, _)| (body.x, body.y));
        let mote_positions = motes.iter().map(|mote| (mote.x, mote.y));
        Self {
            bodies: world.bodies().to_vec(),
            body_index: PositionIndex::new(visible_bodies.len(), body_positions.enumerate()),
            max_radius: visible_bodies.iter().map(|(_, radius)| *radius).max().unwrap_or(0),
            visible_bodies,
            mote_index: PositionIndex::new(motes.len(), mote_positions.enumerate()),
            motes,
            leaderboard: Arc::clone(leaderboard),
        }
    }

    pub fn body(&self, id: u16) -> Option<&Body> {
        let at = self.bodies.binary_search_by_key(&id, |body| body.id).ok()?;
        self.bodies.get(at)
    }

    /// The heaviest body: spectators follow it by default.
    pub fn heaviest(&self) -> Option<&Body> {
        self.bodies.iter().max_by_key(|body| body.mass)
    }

    /// The rank of this mass, from 1 for the heaviest.
    pub fn rank(&self, mass: u32) -> u16 {
        self.bodies.iter().filter(|body| body.mass > mass).count() as u16 + 1
    }

    /// The bodies and motes within `distance` of the position, on each axis.
    pub fn visible(&self, (x, y): (i32, i32), distance: i32) -> (Vec<VisibleBody>, Vec<Mote>) {
        let is_near = |(px, py): (u16, u16), distance: i32| {
            (i32::from(px) - x).abs() <= distance && (i32::from(py) - y).abs() <= distance
        };
        let near = self.body_index.near((x, y), distance + self.max_radius);
        let bodies = near.filter_map(|at| self.visible_bodies.get(at));
        let bodies = bodies.filter(|(body, radius)| is_near((body.x, body.y), distance + radius));
        let near = self.mote_index.near((x, y), distance);
        let motes = near.filter_map(|at| self.motes.get(at));
        let motes = motes.filter(|mote| is_near((mote.x, mote.y), distance));
        (bodies.map(|(body, _)| body.clone()).collect(), motes.copied().collect())
    }

    pub fn all_visible(&self) -> (Vec<VisibleBody>, Vec<Mote>) {
        self.visible((WORLD_SIZE / 2, WORLD_SIZE / 2), WORLD_SIZE)
    }
}

fn visible_body(body: &Body, names: &Names, disconnected: &[u16]) -> VisibleBody {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    VisibleBody {
        id: body.id,
        name: names.get(&body.id).cloned().unwrap_or_default(),
        x: body.motion.x as u16,
        y: body.motion.y as u16,
        mass: body.mass,
        flags: flag(body.motion.boosting, FLAG_BOOSTING)
            | flag(body.shield > 0, FLAG_SHIELDED)
            | flag(disconnected.binary_search(&body.id).is_ok(), FLAG_DISCONNECTED),
    }
}

/// The heaviest bodies, in descending order; equal ones by id.
pub fn leaderboard(world: &World, names: &Names) -> Arc<[LeaderboardRow]> {
    let mut bodies: Vec<&Body> = world.bodies().iter().collect();
    bodies.sort_by_key(|body| (std::cmp::Reverse(body.mass), body.id));
    let row = |body: &&Body| LeaderboardRow {
        id: body.id,
        name: names.get(&body.id).map_or_else(String::new, ToString::to_string),
        mass: body.mass,
    };
    bodies.iter().take(MAX_LEADERBOARD).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::arena::model::world::Event;

    #[test]
    fn only_what_is_near_is_visible() {
        let mut world = World::new(3);
        for _ in 0..200 {
            world.step(&[Event::Enter(1)]);
        }
        let names = Names::from([(1, "Kim".into())]);
        let snapshot = WorldSnapshot::new(&world, &names, &[1], &leaderboard(&world, &names));
        let me = snapshot.body(1).unwrap().motion;
        let distance = view_radius(100);
        let (bodies, motes) = snapshot.visible((me.x, me.y), distance);
        let own = bodies.iter().find(|body| body.id == 1).unwrap();
        assert_eq!((&*own.name, own.flags & FLAG_DISCONNECTED), ("Kim", FLAG_DISCONNECTED));
        assert!(!motes.is_empty() && motes.len() < snapshot.motes.len());
        for mote in &motes {
            assert!((i32::from(mote.x) - me.x).abs() <= distance && (i32::from(mote.y) - me.y).abs() <= distance);
        }
        assert_eq!(snapshot.all_visible().1, snapshot.motes);
        assert_eq!(snapshot.all_visible().0.len(), world.bodies().len());
    }
}
