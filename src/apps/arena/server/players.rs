//! The players and their bodies: the viewer that controls a body, the queue of its inputs, and the grace period after a disconnect.
//! Independent of the world and the wire format.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::apps::arena::model::body::Input;
use crate::apps::arena::model::world::{Event, FIRST_BOT};
use crate::apps::arena::wire::GRACE_SECONDS;
use duplex_protocol::person::{Person, PersonId};

/// Maximum number of players; each body adds bytes to every nearby viewer's frames.
pub const MAX_PLAYERS: usize = 200;
/// Maximum number of queued inputs: one message of them. Above `CATCH_UP_ABOVE` (client clock ahead, or a network burst) the
/// oldest inputs are dropped down to `CATCH_UP_TO`, to bound input latency.
const MAX_QUEUED: usize = 15;
const CATCH_UP_TO: usize = 4;
const CATCH_UP_ABOVE: usize = 8;
/// Ticks without an input after which a body stops.
const MAX_IDLE_TICKS: u32 = 30;

/// A viewer's number, unique while the server runs.
pub type ViewerId = u64;

/// A player and their body's inputs.
#[derive(Debug)]
pub struct Player {
    pub person: Person,
    /// The viewer that controls the body, or when the player disconnected.
    pub viewer: Result<ViewerId, Instant>,
    /// Inputs with their numbers.
    queue: VecDeque<(u32, Input)>,
    pub acked_input: u32,
    current: Input,
    idle_ticks: u32,
}

/// All players, by body id.
#[derive(Debug, Default)]
pub struct Players {
    by_id: BTreeMap<u16, Player>,
    last_id: u16,
}

impl Players {
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn ids(&self) -> impl Iterator<Item = u16> {
        self.by_id.keys().copied()
    }

    pub fn get(&self, id: u16) -> Option<&Player> {
        self.by_id.get(&id)
    }

    pub fn remove(&mut self, id: u16) -> Option<Player> {
        self.by_id.remove(&id)
    }

    pub fn find_by_person(&mut self, person: &PersonId) -> Option<(u16, &mut Player)> {
        let found = self.by_id.iter_mut().find(|(_, player)| player.person.id == *person);
        found.map(|(id, player)| (*id, player))
    }

    /// Adds a player; `None` at [`MAX_PLAYERS`].
    pub fn add(&mut self, person: Person, viewer: ViewerId) -> Option<u16> {
        if self.by_id.len() >= MAX_PLAYERS {
            return None;
        }
        loop {
            self.last_id = self.last_id % (FIRST_BOT - 1) + 1;
            if !self.by_id.contains_key(&self.last_id) {
                break;
            }
        }
        let player = Player {
            person,
            viewer: Ok(viewer),
            queue: VecDeque::new(),
            acked_input: 0,
            current: Input::default(),
            idle_ticks: 0,
        };
        self.by_id.insert(self.last_id, player);
        Some(self.last_id)
    }

    /// Disconnects the viewer's player; the body stays for the grace period.
    pub fn disconnect(&mut self, viewer: ViewerId) {
        for player in self.by_id.values_mut().filter(|player| player.viewer == Ok(viewer)) {
            player.viewer = Err(Instant::now());
            player.queue.clear();
        }
    }

    /// The bodies whose grace period is over.
    pub fn expired(&self) -> Vec<u16> {
        let grace = Duration::from_secs(GRACE_SECONDS.into());
        let expired = |player: &Player| matches!(player.viewer, Err(since) if since.elapsed() >= grace);
        let found = self.by_id.iter().filter(|(_, player)| expired(player));
        found.map(|(id, _)| *id).collect()
    }

    /// Queues the inputs of the viewer that controls the body. Numbers ascend: repeated inputs, and those of another viewer, are
    /// ignored.
    pub fn queue_inputs(&mut self, id: u16, viewer: ViewerId, first: u32, inputs: &[Input]) {
        let Some(player) = self.by_id.get_mut(&id).filter(|player| player.viewer == Ok(viewer)) else {
            return;
        };
        for (number, input) in (first..=u32::MAX).zip(inputs) {
            let last = player.queue.back().map_or(player.acked_input, |(last, _)| *last);
            if number > last {
                player.queue.push_back((number, *input));
            }
        }
        while player.queue.len() > MAX_QUEUED {
            player.queue.pop_front();
        }
    }

    /// Gives this viewer control of the body; returns the viewer that had it.
    pub fn attach(player: &mut Player, viewer: ViewerId) -> Option<ViewerId> {
        if player.viewer == Ok(viewer) {
            return None;
        }
        let before = std::mem::replace(&mut player.viewer, Ok(viewer));
        player.queue.clear();
        // A new client numbers its inputs from 1.
        player.acked_input = 0;
        before.ok()
    }

    /// Takes each player's next input; returns those that changed.
    pub fn next_events(&mut self) -> Vec<Event> {
        let steered = self.by_id.iter_mut().filter_map(|(id, player)| {
            let input = player.next();
            (input != player.current).then(|| {
                player.current = input;
                Event::Steer(*id, input)
            })
        });
        steered.collect()
    }

    /// Resets the current inputs, because a new world starts without inputs.
    pub fn reset_inputs(&mut self) {
        for player in self.by_id.values_mut() {
            player.current = Input::default();
        }
    }
}

impl Player {
    fn next(&mut self) -> Input {
        if self.queue.len() > CATCH_UP_ABOVE {
            self.queue.drain(..self.queue.len() - CATCH_UP_TO);
        }
        if let Some((number, input)) = self.queue.pop_front() {
            (self.acked_input, self.idle_ticks) = (number, 0);
            return input;
        }
        self.idle_ticks = self.idle_ticks.saturating_add(1);
        if self.viewer.is_err() || self.idle_ticks > MAX_IDLE_TICKS {
            return Input::default();
        }
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apps::arena::model::body::MAX_THRUST;

    fn person(id: u8) -> Person {
        Person {
            id: PersonId(format!("{id:016x}")),
            name: String::new(),
        }
    }

    fn to(heading: u8) -> Input {
        Input {
            heading,
            thrust: MAX_THRUST,
            boost: false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn inputs_are_applied_in_order_and_once() {
        let mut players = Players::default();
        let id = players.add(person(1), 7).unwrap();
        players.queue_inputs(id, 8, 1, &[to(9)]);
        assert_eq!(players.next_events(), [], "another viewer steers nothing");
        players.queue_inputs(id, 7, 1, &[to(1), to(2)]);
        players.queue_inputs(id, 7, 2, &[to(200), to(3)]);
        let steered: Vec<_> = (0..4).flat_map(|_| players.next_events()).collect();
        assert_eq!(steered, [1, 2, 3].map(|heading| Event::Steer(id, to(heading))));
        assert_eq!(players.get(id).unwrap().acked_input, 3);
        players.queue_inputs(id, 7, u32::MAX, &[to(4), to(5)]);
        assert_eq!(players.next_events(), [Event::Steer(id, to(4))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_queue_is_shortened_and_an_idle_body_stops() {
        let mut players = Players::default();
        let id = players.add(person(1), 7).unwrap();
        let many: Vec<_> = (1..=15).map(to).collect();
        players.queue_inputs(id, 7, 1, &many);
        assert_eq!(players.next_events(), [Event::Steer(id, to(12))]);
        let later: Vec<_> = (0..100).flat_map(|_| players.next_events()).collect();
        assert_eq!(later.last(), Some(&Event::Steer(id, Input::default())));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_stays_for_twenty_seconds_and_is_taken_back() {
        let mut players = Players::default();
        let id = players.add(person(1), 7).unwrap();
        players.disconnect(7);
        tokio::time::advance(Duration::from_secs(19)).await;
        assert!(players.expired().is_empty());
        let (same, player) = players.find_by_person(&person(1).id).unwrap();
        assert_eq!(Players::attach(player, 9), None);
        assert_eq!((same, player.viewer), (id, Ok(9)));
        players.disconnect(8);
        assert!(players.expired().is_empty());
        players.disconnect(9);
        tokio::time::advance(Duration::from_secs(20)).await;
        assert_eq!(players.expired(), [id]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_number_of_players_is_limited() {
        let mut players = Players::default();
        for viewer in 0..MAX_PLAYERS as u64 {
            assert!(players.add(person(0), viewer).is_some());
        }
        assert_eq!(players.add(person(0), 999), None);
    }
}
