//! Mailboxes: what is said into one comes out to everyone who watches it. The least that pushing and polling can be compared by: in
//! memory, without order across nodes, without a log. Bounded; a box that nobody uses is forgotten. Knows no HTTP.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::apps::compare::wire::measure::{is_name, is_run};
use crate::lock::lock;
use crate::server::limits;

#[derive(Debug, Default)]
pub struct Mailboxes(Mutex<HashMap<(String, String), Arc<Mailbox>>>);

#[derive(Debug)]
pub struct Mailbox {
    inside: Mutex<Inside>,
    /// The number of the newest; 0 before the first.
    newest: watch::Sender<u64>,
}

#[derive(Debug)]
struct Inside {
    used: Instant,
    bytes: usize,
    messages: VecDeque<(u64, Arc<str>)>,
}

impl Mailboxes {
    /// The box of this name; made if it is not there. None if these are no names.
    pub fn get(&self, run: &str, name: &str) -> Option<Arc<Mailbox>> {
        if !is_run(run) || !is_name(name) {
            return None;
        }
        let mailboxes = &mut *lock(&self.0);
        let key = (run.to_owned(), name.to_owned());
        if !mailboxes.contains_key(&key) {
            make_room(mailboxes);
        }
        let mailbox = Arc::clone(mailboxes.entry(key).or_insert_with(|| Arc::new(Mailbox::new())));
        mailbox.inside().used = Instant::now();
        Some(mailbox)
    }
}

fn make_room(mailboxes: &mut HashMap<(String, String), Arc<Mailbox>>) {
    mailboxes.retain(|_, mailbox| mailbox.inside().used.elapsed() < limits::MAILBOX_AGE);
    while mailboxes.len() >= limits::MAILBOXES {
        let oldest = mailboxes.iter().min_by_key(|(_, mailbox)| mailbox.inside().used);
        let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
            return;
        };
        mailboxes.remove(&oldest);
    }
}

impl Mailbox {
    fn new() -> Self {
        Self {
            inside: Mutex::new(Inside {
                used: Instant::now(),
                bytes: 0,
                messages: VecDeque::new(),
            }),
            newest: watch::Sender::new(0),
        }
    }

    /// Its number.
    pub fn say(&self, text: &str) -> u64 {
        let inside = &mut *self.inside();
        let number = *self.newest.borrow() + 1;
        inside.bytes += text.len();
        inside.messages.push_back((number, text.into()));
        while inside.messages.len() > limits::MAILBOX_MESSAGES || inside.bytes > limits::MAILBOX_BYTES {
            inside.bytes -= inside.messages.pop_front().map_or(0, |(_, text)| text.len());
        }
        self.newest.send_replace(number);
        number
    }

    pub fn newest(&self) -> (u64, Arc<str>) {
        self.inside().messages.back().cloned().unwrap_or((0, Arc::from("")))
    }

    /// What is still there of what came after the `after`th, oldest first.
    pub fn since(&self, after: u64) -> Vec<(u64, Arc<str>)> {
        let inside = self.inside();
        let younger = inside.messages.iter().filter(|(number, _)| *number > after);
        younger.cloned().collect()
    }

    /// Ready when there is something after the `after`th.
    pub async fn wait(&self, after: u64) {
        // The sender lives as long as `self`.
        let _ = self.newest.subscribe().wait_for(|newest| *newest > after).await;
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        lock(&self.inside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "0123456789abcdef";

    #[tokio::test]
    async fn what_is_said_comes_out_once_and_the_oldest_goes() {
        let mailboxes = Mailboxes::default();
        let mailbox = mailboxes.get(RUN, "b").unwrap();
        assert_eq!(mailbox.newest(), (0, "".into()));
        for _ in 0..limits::MAILBOX_MESSAGES + 5 {
            mailbox.say("x");
        }
        let newest = limits::MAILBOX_MESSAGES as u64 + 5;
        mailbox.wait(newest - 1).await;
        assert_eq!(mailbox.since(newest - 2).len(), 2);
        assert_eq!(mailbox.since(0).len(), limits::MAILBOX_MESSAGES);
        mailbox.say(&"y".repeat(limits::MAILBOX_BYTES));
        assert_eq!(mailbox.since(0).len(), 1);
        assert!(Arc::ptr_eq(&mailbox, &mailboxes.get(RUN, "b").unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn boxes_are_few() {
        let mailboxes = Mailboxes::default();
        for number in 0..=limits::MAILBOXES {
            let run = format!("{number:016x}");
            mailboxes.get(&run, "b").unwrap().say("kept");
            tokio::time::advance(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(mailboxes.0.lock().unwrap().len(), limits::MAILBOXES);
        assert_eq!(
            mailboxes.get(&format!("{:016x}", 0), "b").unwrap().newest().0,
            0,
            "made anew"
        );
        assert!(mailboxes.get("x", "b").is_none());
    }
}
