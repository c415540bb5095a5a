//! Which readings of a report count, and which alarms follow from them. Pure.

use super::super::model::{Device, Metric, is_newer};
use super::super::wire::{
    DeviceEvent, MAX_AGE, MAX_AHEAD, MAX_EVERY, MAX_LABEL, MAX_METRIC, MAX_METRICS, MAX_READINGS, MAX_UNIT, MAX_VALUE,
    Reading, Refusal, Report, Taken, Threshold, is_metric, tidy, why,
};
use crate::server::hub::decider::{Context, Millis};
use crate::wire::session::Rejection;

/// A number of at most twelve digits: what JSON says of it is read as the same number everywhere.
pub fn kept(value: f64) -> f64 {
    const LEAST: f64 = 1e-9;
    if value.abs() < LEAST {
        return 0.0;
    }
    format!("{value:.11e}").parse().unwrap_or(value)
}

pub fn reported(at: Context<'_>, device: &Device, report: Report) -> Result<Vec<DeviceEvent>, Rejection> {
    if report.readings.len() > MAX_READINGS {
        return Err(Rejection::refused(why::TOO_MANY_READINGS));
    }
    let (mut readings, mut refused) = (Vec::new(), Vec::new());
    for reading in report.readings {
        match take(at.now, device, &readings, &reading) {
            Ok(taken) => readings.push(taken),
            Err(why) => refused.push(Refusal {
                metric: tidy(&reading.metric, MAX_METRIC),
                why: why.to_owned(),
            }),
        }
    }
    let alarms = alarms(device, &readings, at.now);
    let said =
        |label: Option<String>, kept: &str| label.map(|label| tidy(&label, MAX_LABEL)).filter(|said| said != kept);
    let mut events = vec![DeviceEvent::Reported {
        at: at.now,
        readings,
        refused,
        name: said(report.name, &device.name),
        place: said(report.place, &device.place),
        every: report
            .every
            .map(|every| every.clamp(1, MAX_EVERY))
            .filter(|every| *every != device.every),
    }];
    events.extend(alarms);
    Ok(events)
}

/// The reading as it counts, after those of its report that count already.
fn take(now: Millis, device: &Device, before: &[Taken], reading: &Reading) -> Result<Taken, &'static str> {
    let metric = &reading.metric;
    if !is_metric(metric) {
        return Err(why::BAD_METRIC);
    }
    let (value, at) = (reading.value.0, reading.at.unwrap_or(now));
    if !value.is_finite() {
        return Err(why::NOT_A_NUMBER);
    }
    if value.abs() > MAX_VALUE {
        return Err(why::TOO_LARGE);
    }
    if at > now.saturating_add(MAX_AHEAD) {
        return Err(why::IN_FUTURE);
    }
    if at < now.saturating_sub(MAX_AGE) {
        return Err(why::TOO_OLD);
    }
    let unit = reading.unit.as_deref().map(|unit| tidy(unit, MAX_UNIT));
    let told = before.iter().find(|one| one.metric == *metric).map(|one| &one.unit);
    let known = device.metrics.get(metric).map(|metric| &metric.unit).or(told);
    if known.is_none() && fresh_metrics(device, before) + device.metrics.len() >= MAX_METRICS {
        return Err(why::METRICS_FULL);
    }
    if unit
        .as_ref()
        .zip(known)
        .is_some_and(|(unit, known)| !known.is_empty() && unit != known)
    {
        return Err(why::OTHER_UNIT);
    }
    Ok(Taken {
        metric: metric.clone(),
        value: kept(value),
        unit: unit.or_else(|| known.cloned()).unwrap_or_default(),
        // A clock that is a little ahead must not hold back what is measured next.
        at: at.min(now),
    })
}

fn fresh_metrics(device: &Device, before: &[Taken]) -> usize {
    let mut fresh: Vec<_> = before.iter().map(|one| one.metric.as_str()).collect();
    fresh.retain(|metric| !device.metrics.contains_key(*metric));
    fresh.sort_unstable();
    fresh.dedup();
    fresh.len()
}

/// Each metric is judged by its newest reading, and only if that is newer than what was known.
fn alarms(device: &Device, readings: &[Taken], now: Millis) -> Vec<DeviceEvent> {
    let judged = |(name, metric): (&String, &Metric)| {
        let own = readings.iter().filter(|one| one.metric == *name);
        let newest = own
            .map(|one| (one.at, one.value))
            .filter(|one| is_newer(*one, (metric.at, metric.value)));
        let (_, value) = newest.reduce(|best, one| if is_newer(one, best) { one } else { best })?;
        Some(judge(device, name, metric.threshold, value, now))
    };
    device.metrics.iter().filter_map(judged).flatten().collect()
}

pub fn judge(device: &Device, metric: &str, threshold: Option<Threshold>, value: f64, now: Millis) -> Vec<DeviceEvent> {
    let active = device.alarm(metric);
    let before = active.map(|alarm| alarm.side);
    let threshold = threshold.unwrap_or_default();
    let side = threshold.side(value, before);
    if side == before {
        return Vec::new();
    }
    let cleared = active.map(|alarm| DeviceEvent::Cleared {
        alarm: alarm.id,
        value,
        at: now,
    });
    let raised = side.map(|side| DeviceEvent::Raised {
        metric: metric.to_owned(),
        side,
        value,
        limit: threshold.limit(side),
        at: now,
    });
    cleared.into_iter().chain(raised).collect()
}
