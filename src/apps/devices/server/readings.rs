//! Validates the readings of a report and derives the alarms that they raise or clear. Pure.

use super::super::model::{Device, Metric, is_newer};
use super::super::wire::{
    AcceptedReading, DeviceEvent, INVALID_INTEGER, INVALID_STRING, MAX_AGE, MAX_CLOCK_SKEW, MAX_EVERY, MAX_LABEL,
    MAX_METRIC, MAX_METRICS, MAX_READINGS, MAX_UNIT, MAX_VALUE, Reading, RejectedReading, Report, Threshold,
    UntimestampedValue, is_metric_name, reason_code, sanitize,
};
use duplex_hub::decider::{Context, Millis};
use duplex_protocol::session::Rejection;

/// Rounds to 15 significant decimal digits, which every f64 preserves.
pub fn normalize(value: f64) -> f64 {
    // The rounding never produces zero; adding 0.0 turns -0.0 into 0.0.
    format!("{value:.14e}").parse().unwrap_or(value) + 0.0
}

/// Handles a live report.
pub fn report_live(context: Context<'_>, device: &Device, report: Report) -> Result<Vec<DeviceEvent>, Rejection> {
    if report.readings.len() > MAX_READINGS {
        return Err(Rejection::custom(reason_code::TOO_MANY_READINGS));
    }
    let (mut readings, mut rejected) = (Vec::new(), Vec::new());
    for reading in &report.readings {
        match validate_reading(context.now, device, &readings, reading) {
            Ok(accepted) => readings.push(accepted),
            Err(why) => rejected.push(rejected_reading(&reading.metric, why)),
        }
    }
    let profile = ProfileChanges::new(device, &report, &mut rejected);
    let alarms = alarm_events_of_report(device, &readings, context.now);
    let mut events = vec![DeviceEvent::Reported {
        at: context.now,
        readings,
        rejected,
        name: profile.name,
        place: profile.place,
        every: profile.every,
    }];
    events.extend(alarms);
    Ok(events)
}

/// Handles a report of unknown age. It is idempotent: unchanged values produce no event. Timestamped readings are applied as usual
/// if they are newer than the current value.
pub fn report_last_known(context: Context<'_>, device: &Device, report: Report) -> Result<Vec<DeviceEvent>, Rejection> {
    if report.readings.len() > MAX_READINGS {
        return Err(Rejection::custom(reason_code::TOO_MANY_READINGS));
    }
    let (mut timestamped, mut untimestamped, mut rejected) = (Vec::new(), Vec::<AcceptedReading>::new(), Vec::new());
    for reading in &report.readings {
        let before = [&timestamped[..], &untimestamped[..]].concat();
        match validate_reading(context.now, device, &before, reading) {
            Err(why) => rejected.push(rejected_reading(&reading.metric, why)),
            Ok(accepted) if reading.at.is_some() => timestamped.push(accepted),
            // Of several values of one metric the largest wins, as in a live report.
            Ok(accepted) => match untimestamped
                .iter_mut()
                .find(|reading| reading.metric == accepted.metric)
            {
                Some(reading) if reading.value.total_cmp(&accepted.value).is_ge() => {}
                Some(reading) => *reading = accepted,
                None => untimestamped.push(accepted),
            },
        }
    }
    let known = |reading: &AcceptedReading| device.metrics.get(&reading.metric);
    timestamped.retain(|reading| {
        known(reading).is_none_or(|metric| metric.is_superseded_by((reading.at, reading.value), context.now))
    });
    untimestamped.retain(|reading| {
        known(reading).is_none_or(|metric| (metric.value, &metric.unit) != (reading.value, &reading.unit))
    });
    let profile = ProfileChanges::new(device, &report, &mut rejected);
    rejected.retain(|rejected| device.rejections.iter().all(|known| known.reading != *rejected));
    let untimestamped_alarms: Vec<_> = untimestamped
        .iter()
        .filter_map(|reading| Some((reading, known(reading)?)))
        .flat_map(|(reading, metric)| {
            alarm_events(device, &reading.metric, metric.threshold, reading.value, context.now)
        })
        .collect();
    let alarms: Vec<_> = alarm_events_of_report(device, &timestamped, context.now)
        .into_iter()
        .chain(untimestamped_alarms)
        .collect();
    let mut events = Vec::new();
    if !untimestamped.is_empty() || !rejected.is_empty() || profile.has_changes() {
        events.push(DeviceEvent::LastKnownReported {
            at: context.now,
            values: untimestamped.into_iter().map(without_time).collect(),
            rejected,
            name: profile.name,
            place: profile.place,
            every: profile.every,
        });
    }
    if !timestamped.is_empty() {
        events.push(DeviceEvent::Reported {
            at: context.now,
            readings: timestamped,
            rejected: Vec::new(),
            name: None,
            place: None,
            every: None,
        });
    }
    events.extend(alarms);
    Ok(events)
}

fn without_time(reading: AcceptedReading) -> UntimestampedValue {
    let AcceptedReading {
        metric, value, unit, ..
    } = reading;
    UntimestampedValue { metric, value, unit }
}

fn rejected_reading(metric: &str, why: &str) -> RejectedReading {
    RejectedReading {
        metric: sanitize(metric, MAX_METRIC),
        why: why.to_owned(),
    }
}

/// Changes to the device's announced name, place and interval.
struct ProfileChanges {
    name: Option<String>,
    place: Option<String>,
    every: Option<u32>,
}

impl ProfileChanges {
    fn new(device: &Device, report: &Report, rejected: &mut Vec<RejectedReading>) -> Self {
        let mut label = |field: &str, new: Option<&String>, current: &str| {
            if new.is_some_and(|new| new == INVALID_STRING) {
                rejected.push(rejected_reading(field, reason_code::NOT_A_TEXT));
                return None;
            }
            new.map(|label| sanitize(label, MAX_LABEL))
                .filter(|label| label != current)
        };
        let name = label("name", report.name.as_ref(), &device.name);
        let place = label("place", report.place.as_ref(), &device.place);
        if report.every == Some(u32::MAX) {
            rejected.push(rejected_reading("every", reason_code::BAD_EVERY));
        }
        let every = report.every.filter(|every| *every != u32::MAX);
        Self {
            name,
            place,
            every: every
                .map(|every| every.clamp(1, MAX_EVERY))
                .filter(|every| *every != device.every),
        }
    }

    const fn has_changes(&self) -> bool {
        self.name.is_some() || self.place.is_some() || self.every.is_some()
    }
}

/// Validates a reading, given the accepted readings before it in the same report.
fn validate_reading(
    now: Millis,
    device: &Device,
    before: &[AcceptedReading],
    reading: &Reading,
) -> Result<AcceptedReading, &'static str> {
    let metric = &reading.metric;
    if !is_metric_name(metric) {
        return Err(reason_code::BAD_METRIC);
    }
    let (value, at) = (reading.value.0, reading.at.unwrap_or(now));
    if !value.is_finite() {
        return Err(reason_code::NOT_A_NUMBER);
    }
    if value.abs() > MAX_VALUE {
        return Err(reason_code::TOO_LARGE);
    }
    if at == INVALID_INTEGER {
        return Err(reason_code::BAD_TIME);
    }
    if at > now.saturating_add(MAX_CLOCK_SKEW) {
        return Err(reason_code::IN_FUTURE);
    }
    if at < now.saturating_sub(MAX_AGE) {
        return Err(reason_code::TOO_OLD);
    }
    if reading.unit.as_deref() == Some(INVALID_STRING) {
        return Err(reason_code::NOT_A_TEXT);
    }
    let unit = reading.unit.as_deref().map(|unit| sanitize(unit, MAX_UNIT));
    let earlier = before
        .iter()
        .find(|reading| reading.metric == *metric)
        .map(|reading| &reading.unit);
    let known = device.metrics.get(metric).map(|metric| &metric.unit).or(earlier);
    if known.is_none() && count_new_metrics(device, before) + device.metrics.len() >= MAX_METRICS {
        return Err(reason_code::METRICS_FULL);
    }
    if unit
        .as_ref()
        .zip(known)
        .is_some_and(|(unit, known)| !known.is_empty() && unit != known)
    {
        return Err(reason_code::OTHER_UNIT);
    }
    Ok(AcceptedReading {
        metric: metric.clone(),
        value: normalize(value),
        unit: unit.or_else(|| known.cloned()).unwrap_or_default(),
        // Clamp a slightly fast device clock, so that the next readings still supersede this one.
        at: at.min(now),
    })
}

fn count_new_metrics(device: &Device, before: &[AcceptedReading]) -> usize {
    let mut new: Vec<_> = before.iter().map(|reading| reading.metric.as_str()).collect();
    new.retain(|metric| !device.metrics.contains_key(*metric));
    new.sort_unstable();
    new.dedup();
    new.len()
}

/// Checks each metric's newest reading against its threshold, if the reading is newer than the current value.
fn alarm_events_of_report(device: &Device, readings: &[AcceptedReading], now: Millis) -> Vec<DeviceEvent> {
    let events = |(name, metric): (&String, &Metric)| {
        let own = readings.iter().filter(|reading| reading.metric == *name);
        let newest = own
            .map(|reading| (reading.at, reading.value))
            .filter(|reading| metric.is_superseded_by(*reading, now));
        let (_, value) = newest.reduce(|best, reading| if is_newer(reading, best) { reading } else { best })?;
        Some(alarm_events(device, name, metric.threshold, value, now))
    };
    device.metrics.iter().filter_map(events).flatten().collect()
}

/// The events that clear or raise the metric's alarm at `value`.
pub fn alarm_events(
    device: &Device,
    metric: &str,
    threshold: Option<Threshold>,
    value: f64,
    now: Millis,
) -> Vec<DeviceEvent> {
    let active = device.alarm(metric);
    let before = active.map(|alarm| alarm.limit_kind);
    let threshold = threshold.unwrap_or_default();
    let limit_kind = threshold.violated(value, before);
    if limit_kind == before {
        return Vec::new();
    }
    let cleared = active.map(|alarm| DeviceEvent::Cleared {
        alarm: alarm.id,
        value,
        at: now,
    });
    let raised = limit_kind.map(|limit_kind| DeviceEvent::Raised {
        metric: metric.to_owned(),
        limit_kind,
        value,
        limit: threshold.limit(limit_kind),
        at: now,
    });
    cleared.into_iter().chain(raised).collect()
}
