//! In-memory mailboxes that broadcast each message to all readers. Deliberately minimal: no log, and one node only. Bounded; unused
//! mailboxes are evicted. Independent of HTTP.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::apps::compare::wire::measure::{is_label, is_run_id};
use crate::lock::lock;
use crate::server::limits;

#[derive(Debug, Default)]
pub struct Mailboxes(Mutex<HashMap<(String, String), Arc<Mailbox>>>);

#[derive(Debug)]
pub struct Mailbox {
    state: Mutex<MailboxState>,
    /// The number of the newest message; 0 before the first.
    newest: watch::Sender<u64>,
}

#[derive(Debug)]
struct MailboxState {
    last_used: Instant,
    bytes: usize,
    messages: VecDeque<(u64, Arc<str>)>,
}

impl Mailboxes {
    /// Returns the mailbox of this name, created if needed. `None` if the names are invalid.
    pub fn get_or_create(&self, run: &str, name: &str) -> Option<Arc<Mailbox>> {
        if !is_run_id(run) || !is_label(name) {
            return None;
        }
        let mailboxes = &mut *lock(&self.0);
        let key = (run.to_owned(), name.to_owned());
        if !mailboxes.contains_key(&key) {
            evict(mailboxes);
        }
        let mailbox = Arc::clone(mailboxes.entry(key).or_insert_with(|| Arc::new(Mailbox::new())));
        mailbox.state().last_used = Instant::now();
        Some(mailbox)
    }
}

fn evict(mailboxes: &mut HashMap<(String, String), Arc<Mailbox>>) {
    mailboxes.retain(|_, mailbox| mailbox.state().last_used.elapsed() < limits::MAILBOX_RETENTION);
    while mailboxes.len() >= limits::MAILBOXES {
        let oldest = mailboxes.iter().min_by_key(|(_, mailbox)| mailbox.state().last_used);
        let Some(oldest) = oldest.map(|(name, _)| name.clone()) else {
            return;
        };
        mailboxes.remove(&oldest);
    }
}

impl Mailbox {
    fn new() -> Self {
        Self {
            state: Mutex::new(MailboxState {
                last_used: Instant::now(),
                bytes: 0,
                messages: VecDeque::new(),
            }),
            newest: watch::Sender::new(0),
        }
    }

    /// Appends a message and returns its number.
    pub fn push(&self, text: &str) -> u64 {
        let state = &mut *self.state();
        let number = *self.newest.borrow() + 1;
        state.bytes += text.len();
        state.messages.push_back((number, text.into()));
        while state.messages.len() > limits::MAILBOX_MESSAGES || state.bytes > limits::MAILBOX_BYTES {
            state.bytes -= state.messages.pop_front().map_or(0, |(_, text)| text.len());
        }
        self.newest.send_replace(number);
        number
    }

    pub fn newest(&self) -> (u64, Arc<str>) {
        self.state().messages.back().cloned().unwrap_or((0, Arc::from("")))
    }

    /// The retained messages numbered above `after`, oldest first.
    pub fn since(&self, after: u64) -> Vec<(u64, Arc<str>)> {
        let state = self.state();
        let newer = state.messages.iter().filter(|(number, _)| *number > after);
        newer.cloned().collect()
    }

    /// Waits for a message numbered above `after`.
    pub async fn wait_after(&self, after: u64) {
        // Cannot fail: the sender lives as long as `self`.
        let _ = self.newest.subscribe().wait_for(|newest| *newest > after).await;
    }

    fn state(&self) -> MutexGuard<'_, MailboxState> {
        lock(&self.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "0123456789abcdef";

    #[tokio::test]
    async fn messages_are_delivered_and_the_oldest_are_dropped() {
        let mailboxes = Mailboxes::default();
        let mailbox = mailboxes.get_or_create(RUN, "b").unwrap();
        assert_eq!(mailbox.newest(), (0, "".into()));
        for _ in 0..limits::MAILBOX_MESSAGES + 5 {
            mailbox.push("x");
        }
        let newest = limits::MAILBOX_MESSAGES as u64 + 5;
        mailbox.wait_after(newest - 1).await;
        assert_eq!(mailbox.since(newest - 2).len(), 2);
        assert_eq!(mailbox.since(0).len(), limits::MAILBOX_MESSAGES);
        mailbox.push(&"y".repeat(limits::MAILBOX_BYTES));
        assert_eq!(mailbox.since(0).len(), 1);
        assert!(Arc::ptr_eq(&mailbox, &mailboxes.get_or_create(RUN, "b").unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn mailboxes_are_limited() {
        let mailboxes = Mailboxes::default();
        for number in 0..=limits::MAILBOXES {
            let run = format!("{number:016x}");
            mailboxes.get_or_create(&run, "b").unwrap().push("kept");
            tokio::time::advance(std::time::Duration::from_millis(1)).await;
        }
        assert_eq!(mailboxes.0.lock().unwrap().len(), limits::MAILBOXES);
        assert_eq!(
            mailboxes.get_or_create(&format!("{:016x}", 0), "b").unwrap().newest().0,
            0,
            "created again"
        );
        assert!(mailboxes.get_or_create("x", "b").is_none());
    }
}
