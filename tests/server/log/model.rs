//! Model-based tests: random operations give the same results on the SQLite or PostgreSQL log and the memory log.

use std::sync::Arc;

use duplex_hub::log::memory::MemoryLog;
use duplex_hub::log::postgres::PostgresLog;
use duplex_hub::log::sqlite::SqliteLog;
use duplex_hub::log::{Head, StartData};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::*;
use crate::harness::postgres::{Cluster, Database};

const NAMES: [&str; 3] = ["chat/a", "chat/b", "market/a"];

#[derive(Debug, Clone)]
enum Step {
    /// The time of each entry, and for each of its events the distance to the event that it amends, if any.
    Append {
        topic: usize,
        offset: i64,
        entries: Vec<(Millis, Vec<Option<u64>>)>,
    },
    /// The events to redact, or all events.
    Redact {
        topic: usize,
        offset: i64,
        events: Vec<Seq>,
        everything: bool,
    },
    Snapshot {
        topic: usize,
        back: u64,
        events: u64,
        age: Option<u64>,
        now: Millis,
    },
    Read {
        topic: usize,
        after: Seq,
        limit: usize,
    },
    History {
        topic: usize,
        before: Seq,
        limit: usize,
    },
    Open {
        topic: usize,
        commands: usize,
        since: Millis,
    },
    /// Delivers one of the stored forwards, with an append to a topic or alone.
    Deliver {
        topic: usize,
        which: usize,
        alone: bool,
    },
    /// Reopens the store, after a close or without one.
    Reopen {
        close: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let topic = 0..NAMES.len();
    let amends = prop::option::weighted(0.3, 0u64..12);
    let entries = prop::collection::vec((0u64..1000, prop::collection::vec(amends, 0..4)), 0..4);
    let offset = prop_oneof![9 => Just(0i64), 1 => -2i64..3];
    let age = prop::option::of(0u64..1000);
    prop_oneof![
        8 => (topic.clone(), offset, entries).prop_map(|(topic, offset, entries)| Step::Append { topic, offset, entries }),
        2 => (topic.clone(), prop_oneof![9 => Just(0i64), 1 => -2i64..3], prop::collection::vec(0u64..30, 0..5), prop::bool::weighted(0.2))
            .prop_map(|(topic, offset, events, everything)| Step::Redact { topic, offset, events, everything }),
        2 => (topic.clone(), 0u64..6, 0u64..20, age, 0u64..1500)
            .prop_map(|(topic, back, events, age, now)| Step::Snapshot { topic, back, events, age, now }),
        2 => (topic.clone(), 0u64..30, 0usize..20).prop_map(|(topic, after, limit)| Step::Read { topic, after, limit }),
        3 => (topic.clone(), 0u64..40, 0usize..8)
            .prop_map(|(topic, before, limit)| Step::History { topic, before, limit }),
        3 => (topic.clone(), any::<usize>(), any::<bool>())
            .prop_map(|(topic, which, alone)| Step::Deliver { topic, which, alone }),
        2 => (topic, 0usize..20, 0u64..1000)
            .prop_map(|(topic, commands, since)| Step::Open { topic, commands, since }),
        1 => any::<bool>().prop_map(|close| Step::Reopen { close }),
    ]
}

/// Where the events are stored.
enum Place {
    File(tempfile::TempDir),
    Database(Database),
}

impl Place {
    async fn open(&self) -> Arc<dyn Log> {
        match self {
            Self::File(dir) => Arc::new(SqliteLog::open(&dir.path().join("log")).unwrap()),
            Self::Database(database) => Arc::new(PostgresLog::open(database.url.parse().unwrap()).await.unwrap()),
        }
    }
}

struct Pair {
    place: Place,
    stored: Option<Arc<dyn Log>>,
    model: MemoryLog,
    commands: u128,
}

impl Pair {
    async fn new(place: Place) -> Self {
        let stored = place.open().await;
        let epoch = stored.open(&topic(LOBBY), 0, 0).await.unwrap().head.epoch;
        Self {
            place,
            stored: Some(stored),
            model: MemoryLog::new(epoch),
            commands: 0,
        }
    }

    fn stored(&self) -> &dyn Log {
        &**self.stored.as_ref().unwrap()
    }

    async fn apply(&mut self, step: Step) -> TestCaseResult {
        match step {
            Step::Append {
                topic: index,
                offset,
                entries,
            } => {
                let topic = topic(NAMES[index]);
                let last = self.head(&topic).await.last;
                let entries: Vec<_> = entries
                    .iter()
                    .map(|(at, events)| self.entry(last, *at, events))
                    .collect();
                let expected = last.saturating_add_signed(offset);
                let result = self.stored().append(&topic, expected.into(), entries.clone()).await;
                prop_assert_eq!(result, self.model.append(&topic, expected.into(), entries).await);
            }
            Step::Redact {
                topic: index,
                offset,
                events,
                everything,
            } => {
                let topic = topic(NAMES[index]);
                let last = self.head(&topic).await.last;
                let found = self.stored().with_amendments(&topic, events.clone()).await;
                prop_assert_eq!(&found, &self.model.with_amendments(&topic, events).await);
                let redaction = RedactionWrite {
                    redacted: match everything {
                        true => RedactedEvents::Before(last + 1),
                        false => RedactedEvents::Payloads(
                            found
                                .unwrap()
                                .into_iter()
                                .map(|record| (record.seq, b"{}".to_vec()))
                                .collect(),
                        ),
                    },
                    state: format!("without {last}").into_bytes(),
                };
                let entries = vec![self.entry(last, 5, &[Some(1)])];
                let expected = last.saturating_add_signed(offset);
                let result = self
                    .stored()
                    .redact(&topic, expected.into(), entries.clone(), redaction.clone())
                    .await;
                prop_assert_eq!(
                    result,
                    self.model.redact(&topic, expected.into(), entries, redaction).await
                );
            }
            Step::Snapshot {
                topic: index,
                back,
                events,
                age,
                now,
            } => {
                let topic = topic(NAMES[index]);
                let seq = (self.head(&topic).await.last + 1).saturating_sub(back);
                let retention = age.map_or(newest(events), |age| newest_or_young(events, age));
                let state = format!("state {seq} {now}").into_bytes();
                let result = self.stored().snapshot(&topic, seq, state.clone(), retention, now).await;
                prop_assert_eq!(result, self.model.snapshot(&topic, seq, state, retention, now).await);
            }
            Step::Read {
                topic: index,
                after,
                limit,
            } => {
                let topic = topic(NAMES[index]);
                let read = self.stored().read(&topic, after, limit).await;
                prop_assert_eq!(read, self.model.read(&topic, after, limit).await);
            }
            Step::History {
                topic: index,
                before,
                limit,
            } => {
                let topic = topic(NAMES[index]);
                let page = self.stored().history(&topic, before, limit).await;
                prop_assert_eq!(page, self.model.history(&topic, before, limit).await);
            }
            Step::Open {
                topic: index,
                commands,
                since,
            } => self.compare(index, commands, since).await?,
            Step::Deliver { topic, which, alone } => self.deliver(topic, which, alone).await?,
            Step::Reopen { close } => {
                if close {
                    self.stored().close().await;
                }
                self.stored = None;
                self.stored = Some(self.place.open().await);
            }
        }
        Ok(())
    }

    fn entry(&mut self, last: Seq, at: Millis, events: &[Option<u64>]) -> Entry {
        self.commands += 1;
        let events_of_entry = events.iter().map(|back| match back {
            Some(back) => amendment(last.saturating_sub(*back)),
            None => event("x"),
        });
        let command = match self.commands % 2 {
            0 => command(self.commands),
            _ => CommandId::from_time(at, self.commands),
        };
        // Every other event has one or two forwards.
        let forwarding = (0..events.len()).filter(|event| self.commands.is_multiple_of(2) && event.is_multiple_of(2));
        let forwards = forwarding.flat_map(|event| {
            let two = (0..=u32::from(event == 0)).zip(["list/x", "list/yy"]);
            two.map(move |(index, to)| ForwardRecord {
                index,
                ..forward(event, to)
            })
        });
        match self.commands % 5 {
            0 => rejection_entry(command, at, "no"),
            _ => Entry {
                command,
                forwards: forwards.collect(),
                ..entry(self.commands, at, events_of_entry.collect())
            },
        }
    }

    async fn deliver(&mut self, index: usize, which: usize, alone: bool) -> TestCaseResult {
        let stored = self.model.forwards(None).await.unwrap();
        let Some(forward) = stored.get(which % stored.len().max(1)) else {
            return Ok(());
        };
        let key = forward.key.clone();
        if alone {
            let delivered = self.stored().remove_forwards(vec![key.clone()]).await;
            prop_assert_eq!(delivered, self.model.remove_forwards(vec![key]).await);
            return Ok(());
        }
        let topic = topic(NAMES[index]);
        let last = self.head(&topic).await.last;
        let entries = vec![Entry {
            delivers: Some(key),
            ..self.entry(last, 5, &[])
        }];
        let appended = self.stored().append(&topic, last.into(), entries.clone()).await;
        prop_assert_eq!(appended, self.model.append(&topic, last.into(), entries).await);
        Ok(())
    }

    async fn head(&self, topic: &TopicName) -> Head {
        self.model.open(topic, 0, 0).await.unwrap().head
    }

    async fn compare(&self, index: usize, commands: usize, since: Millis) -> TestCaseResult {
        let topic = topic(NAMES[index]);
        let opened: Result<StartData, _> = self.stored().open(&topic, commands, since).await;
        prop_assert_eq!(opened, self.model.open(&topic, commands, since).await);
        Ok(())
    }

    async fn compare_all(&self) -> TestCaseResult {
        for (index, name) in NAMES.iter().enumerate() {
            self.compare(index, usize::MAX, 0).await?;
            prop_assert_eq!(
                all(self.stored(), &topic(name)).await,
                all(&self.model, &topic(name)).await
            );
            let Head { first, last, .. } = self.head(&topic(name)).await;
            for seq in first.saturating_sub(2)..=last + 1 {
                let checksum = self.stored().checksum(&topic(name), seq).await;
                prop_assert_eq!(
                    checksum,
                    self.model.checksum(&topic(name), seq).await,
                    "{} {}",
                    name,
                    seq
                );
            }
        }
        prop_assert_eq!(self.stored().forwards(None).await, self.model.forwards(None).await);
        for kind in ["chat", "market"] {
            prop_assert_eq!(self.stored().topics(kind).await, self.model.topics(kind).await);
        }
        Ok(())
    }
}

fn run(place: Place, steps: Vec<Step>) -> TestCaseResult {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut pair = Pair::new(place).await;
        for step in steps {
            pair.apply(step).await?;
        }
        pair.compare_all().await
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_file_and_memory_logs_agree(steps in prop::collection::vec(step(), 1..50)) {
        run(Place::File(tempfile::tempdir().unwrap()), steps)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn the_database_and_memory_logs_agree(steps in prop::collection::vec(step(), 1..50)) {
        run(Place::Database(Cluster::shared().database()), steps)?;
    }
}
