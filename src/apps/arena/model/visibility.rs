//! The part of a world that is visible from a position, for the server's frames and for replays. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::body::{WORLD_SIZE, radius};
use super::world::{Body, Mote, World};
use crate::apps::arena::wire::frame::{
    FLAG_BOOSTING, FLAG_DISCONNECTED, FLAG_SHIELDED, LeaderboardRow, MAX_LEADERBOARD, VisibleBody,
};

/// The viewing distance in each direction, in sixteenths of a unit; wide bodies see farther.
const VIEW_RADIUS: i32 = 640 * 16;

/// The names that players chose, by body id.
pub type Names = BTreeMap<u16, String>;

/// A copy of the world between two ticks, shared by all viewers.
#[derive(Debug, Clone)]
pub struct WorldSnapshot {
    /// Sorted by id.
    pub bodies: Vec<Body>,
    pub motes: Vec<Mote>,
    pub names: Arc<Names>,
    /// The ids of bodies whose player is disconnected, sorted.
    pub disconnected: Vec<u16>,
    pub leaderboard: Arc<[LeaderboardRow]>,
}

pub fn view_radius(mass: u32) -> i32 {
    VIEW_RADIUS + 2 * radius(mass)
}

impl WorldSnapshot {
    pub fn new(world: &World, names: &Arc<Names>, disconnected: Vec<u16>, leaderboard: &Arc<[LeaderboardRow]>) -> Self {
        Self {
            bodies: world.bodies().to_vec(),
            motes: world.motes().copied().collect(),
            names: Arc::clone(names),
            disconnected,
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
        let near =
            |(px, py): (i32, i32), size: i32| (px - x).abs() <= distance + size && (py - y).abs() <= distance + size;
        let bodies = self
            .bodies
            .iter()
            .filter(|body| near((body.motion.x, body.motion.y), radius(body.mass)));
        let motes = self.motes.iter().filter(|mote| near((mote.x.into(), mote.y.into()), 0));
        (
            bodies.map(|body| self.visible_body(body)).collect(),
            motes.copied().collect(),
        )
    }

    pub fn all_visible(&self) -> (Vec<VisibleBody>, Vec<Mote>) {
        self.visible((WORLD_SIZE / 2, WORLD_SIZE / 2), WORLD_SIZE)
    }

    fn visible_body(&self, body: &Body) -> VisibleBody {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        VisibleBody {
            id: body.id,
            name: self.names.get(&body.id).cloned().unwrap_or_default(),
            x: body.motion.x as u16,
            y: body.motion.y as u16,
            mass: body.mass,
            flags: flag(body.motion.boosting, FLAG_BOOSTING)
                | flag(body.shield > 0, FLAG_SHIELDED)
                | flag(self.disconnected.binary_search(&body.id).is_ok(), FLAG_DISCONNECTED),
        }
    }
}

/// The heaviest bodies, in descending order; equal ones by id.
pub fn leaderboard(world: &World, names: &Names) -> Arc<[LeaderboardRow]> {
    let mut bodies: Vec<&Body> = world.bodies().iter().collect();
    bodies.sort_by_key(|body| (std::cmp::Reverse(body.mass), body.id));
    let row = |body: &&Body| LeaderboardRow {
        id: body.id,
        name: names.get(&body.id).cloned().unwrap_or_default(),
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
        let names = Arc::new(Names::from([(1, "Kim".to_owned())]));
        let snapshot = WorldSnapshot::new(&world, &names, vec![1], &leaderboard(&world, &names));
        let me = snapshot.body(1).unwrap().motion;
        let distance = view_radius(100);
        let (bodies, motes) = snapshot.visible((me.x, me.y), distance);
        let own = bodies.iter().find(|body| body.id == 1).unwrap();
        assert_eq!(
            (own.name.as_str(), own.flags & FLAG_DISCONNECTED),
            ("Kim", FLAG_DISCONNECTED)
        );
        assert!(!motes.is_empty() && motes.len() < snapshot.motes.len());
        for mote in &motes {
            assert!((i32::from(mote.x) - me.x).abs() <= distance && (i32::from(mote.y) - me.y).abs() <= distance);
        }
        assert_eq!(snapshot.all_visible().1, snapshot.motes);
        assert_eq!(snapshot.all_visible().0.len(), world.bodies().len());
    }
}
