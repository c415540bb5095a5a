//! Read-only queries of a hub: pages of history, stored events, and statistics.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Hub, Slot};
use crate::limits;
use crate::log::{Log, Record};
use crate::topic::dyn_topic::StateError;
use crate::topic::empty_topic::OpenedTopic;
use crate::topic::page::{take_newest_within, take_oldest_within};
use crate::topic::stats::{HubStats, TopicStats};
use crate::topic::wake::Wake;
use duplex_protocol::codec::EncodedValue;
use duplex_protocol::cursor::{Cursor, Seq};
use duplex_protocol::session::{Denial, HistoryPage};
use duplex_protocol::topic::TopicName;

fn decode_error(topic: &TopicName, error: &StateError) -> Denial {
    tracing::error!(%topic, "an event of the log cannot be decoded: {error}");
    Denial::Unavailable
}

impl Hub {
    /// A page of a topic's history: the newest `limit` events before `before`, at most 200, as JSON from the log. Does not start
    /// the topic or check access.
    ///
    /// # Errors
    ///
    /// [`Denial::Unknown`] if there is no such kind; [`Denial::Full`] beyond the client's quota; [`Denial::Unavailable`] if the log
    /// cannot be read.
    pub async fn history(&self, topic: &TopicName, before: Seq, limit: usize) -> Result<HistoryPage, Denial> {
        let kind = self.kind(topic)?;
        self.charge_reads(limits::HISTORY_READS)?;
        let limit = limit.clamp(1, limits::HISTORY_PAGE);
        let history = self
            .log_of(kind.as_ref())
            .history(topic, before, limit)
            .await
            .map_err(|error| {
                tracing::warn!(%topic, "the history cannot be read: {error}");
                Denial::Unavailable
            })?;
        let (records, truncated) = take_newest_within(history.records, limits::PAGE_BYTES);
        let events = records
            .into_iter()
            .map(|record| Ok((record.seq, EncodedValue(kind.event_json(record.event)?))));
        Ok(HistoryPage {
            epoch: history.head.epoch,
            events: events
                .collect::<Result<_, StateError>>()
                .map_err(|error| decode_error(topic, &error))?,
            first: history.reaches_start && !truncated,
            amended_up_to: history.head.last,
        })
    }

    /// Up to `limit` events after `after`, at most 500, as stored in the log, and the cursor of the topic's newest event.
    ///
    /// # Errors
    ///
    /// See [`Self::open`].
    pub async fn events(&self, topic: &TopicName, after: Seq, limit: usize) -> Result<(Vec<Record>, Cursor), Denial> {
        let kind = self.kind(topic)?;
        let head = match self.open_for_read(topic, &Wake::new()).await? {
            OpenedTopic::Awake(handle) => handle.head(),
            OpenedTopic::Empty(empty) => return Ok((Vec::new(), empty.head())),
        };
        let read = self
            .log_of(kind.as_ref())
            .read(topic, after, limit.clamp(1, limits::LOG_PAGE));
        let mut records = read.await.map_err(|error| {
            tracing::warn!(%topic, "the events cannot be read: {error}");
            Denial::Unavailable
        })?;
        // Omit events that are committed but not yet published.
        records.retain(|record| record.seq <= head.seq);
        for record in &mut records {
            let stored = std::mem::take(&mut record.event);
            record.event = kind.event_json(stored).map_err(|error| decode_error(topic, &error))?;
        }
        Ok((take_oldest_within(records, limits::PAGE_BYTES), head))
    }

    /// The topics of a kind that ever had an event, awake or asleep.
    ///
    /// # Errors
    ///
    /// [`Denial::Unavailable`] if the log cannot be read.
    pub async fn topics_of(&self, kind: &str) -> Result<Vec<TopicName>, Denial> {
        self.inner.log.topics(kind).await.map_err(|error| {
            tracing::warn!(kind, "the topics cannot be listed: {error}");
            Denial::Unavailable
        })
    }

    /// The counters of all kinds, summed.
    pub fn stats(&self) -> HubStats {
        let mut stats = HubStats::default();
        stats.add(self.topics().len() as u64, &self.inner.counters);
        for counters in self.inner.kind_counters.values() {
            stats.add(0, counters);
        }
        stats
    }

    /// The counters of each kind, by name; without forwards, which belong to no kind.
    pub fn stats_of_kinds(&self) -> Vec<(&'static str, HubStats)> {
        let mut awake: HashMap<&str, u64> = HashMap::new();
        let topics = self.topics();
        for topic in topics.keys() {
            *awake.entry(topic.kind()).or_default() += 1;
        }
        let kinds = self.inner.kind_counters.iter().map(|(name, counters)| {
            let mut stats = HubStats::default();
            stats.add(awake.get(name).copied().unwrap_or(0), counters);
            (*name, stats)
        });
        kinds.collect()
    }

    /// The sum of [`Decider::rejected_parts`](crate::decider::Decider::rejected_parts) since the start, of each kind by name.
    pub fn rejected_parts(&self) -> Vec<(&'static str, u64)> {
        let kinds = self.inner.kinds.values();
        kinds.map(|kind| (kind.name(), kind.rejected_parts())).collect()
    }

    /// The awake topics, in arbitrary order.
    pub fn awake_topics(&self) -> Vec<TopicStats> {
        let topics: Vec<_> = self
            .topics()
            .values()
            .filter_map(|slot| match slot {
                Slot::Awake(shared) => Some(Arc::clone(shared)),
                Slot::Starting(_) => None,
            })
            .collect();
        topics.iter().map(|shared| shared.stats()).collect()
    }

    /// The durable log.
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.inner.log
    }
}
