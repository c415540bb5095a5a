//! What can be seen of a world from a place in it: what a viewer is sent, and what a replay draws. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::body::{WORLD, radius};
use super::world::{Body, Mote, World};
use crate::apps::arena::wire::frame::{MAX_BOARD, Row, SEEN_AWAY, SEEN_BOOSTING, SEEN_SHIELDED, Seen};

/// Half of what a viewer sees in each direction, in units' sixteenths: this, and some more for the wide.
const VIEW: i32 = 640 * 16;

/// The chosen names of those in the world, by id; who chose none is not there.
pub type Names = BTreeMap<u16, String>;

/// A world as it is between two ticks, to be looked at from many places.
#[derive(Debug, Clone)]
pub struct Scene {
    /// By id.
    pub bodies: Vec<Body>,
    pub motes: Vec<Mote>,
    pub names: Arc<Names>,
    /// Whose player is not there, by id.
    pub away: Vec<u16>,
    pub board: Arc<[Row]>,
}

pub fn half_view(mass: u32) -> i32 {
    VIEW + 2 * radius(mass)
}

impl Scene {
    pub fn of(world: &World, names: &Arc<Names>, away: Vec<u16>, board: &Arc<[Row]>) -> Self {
        Self {
            bodies: world.bodies().to_vec(),
            motes: world.motes().copied().collect(),
            names: Arc::clone(names),
            away,
            board: Arc::clone(board),
        }
    }

    pub fn body(&self, id: u16) -> Option<&Body> {
        let at = self.bodies.binary_search_by_key(&id, |body| body.id).ok()?;
        self.bodies.get(at)
    }

    /// The heaviest, whom one watches who chose nobody.
    pub fn first(&self) -> Option<&Body> {
        self.bodies.iter().max_by_key(|body| body.mass)
    }

    /// From 1; the heaviest is first.
    pub fn rank(&self, mass: u32) -> u16 {
        self.bodies.iter().filter(|body| body.mass > mass).count() as u16 + 1
    }

    /// Everything within `half` of the place.
    pub fn look(&self, (x, y): (i32, i32), half: i32) -> (Vec<Seen>, Vec<Mote>) {
        let near = |(px, py): (i32, i32), wide: i32| (px - x).abs() <= half + wide && (py - y).abs() <= half + wide;
        let bodies = self
            .bodies
            .iter()
            .filter(|body| near((body.motion.x, body.motion.y), radius(body.mass)));
        let motes = self.motes.iter().filter(|mote| near((mote.x.into(), mote.y.into()), 0));
        (bodies.map(|body| self.seen(body)).collect(), motes.copied().collect())
    }

    pub fn all(&self) -> (Vec<Seen>, Vec<Mote>) {
        self.look((WORLD / 2, WORLD / 2), WORLD)
    }

    fn seen(&self, body: &Body) -> Seen {
        let flag = |so: bool, flag: u8| if so { flag } else { 0 };
        Seen {
            id: body.id,
            name: self.names.get(&body.id).cloned().unwrap_or_default(),
            x: body.motion.x as u16,
            y: body.motion.y as u16,
            mass: body.mass,
            flags: flag(body.motion.boosting, SEEN_BOOSTING)
                | flag(body.shield > 0, SEEN_SHIELDED)
                | flag(self.away.binary_search(&body.id).is_ok(), SEEN_AWAY),
        }
    }
}

/// The heaviest bodies, the heaviest first; of equals the one that was there before.
pub fn board(world: &World, names: &Names) -> Arc<[Row]> {
    let mut bodies: Vec<&Body> = world.bodies().iter().collect();
    bodies.sort_by_key(|body| (std::cmp::Reverse(body.mass), body.id));
    let row = |body: &&Body| Row {
        id: body.id,
        name: names.get(&body.id).cloned().unwrap_or_default(),
        mass: body.mass,
    };
    bodies.iter().take(MAX_BOARD).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::arena::model::world::Event;

    #[test]
    fn one_sees_what_is_near_and_nothing_else() {
        let mut world = World::new(3);
        for _ in 0..200 {
            world.step(&[Event::Enter(1)]);
        }
        let names = Arc::new(Names::from([(1, "Kim".to_owned())]));
        let scene = Scene::of(&world, &names, vec![1], &board(&world, &names));
        let me = scene.body(1).unwrap().motion;
        let half = half_view(100);
        let (bodies, motes) = scene.look((me.x, me.y), half);
        let own = bodies.iter().find(|seen| seen.id == 1).unwrap();
        assert_eq!((own.name.as_str(), own.flags & SEEN_AWAY), ("Kim", SEEN_AWAY));
        assert!(!motes.is_empty() && motes.len() < scene.motes.len());
        for mote in &motes {
            assert!((i32::from(mote.x) - me.x).abs() <= half && (i32::from(mote.y) - me.y).abs() <= half);
        }
        assert_eq!(scene.all().1, scene.motes);
        assert_eq!(scene.all().0.len(), world.bodies().len());
    }
}
