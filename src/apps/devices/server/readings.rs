//! Which readings of a report count, and which alarms follow from them. Pure.

use super::super::model::{Device, Metric, is_newer};
use super::super::wire::{
    DeviceEvent, MAX_AGE, MAX_AHEAD, MAX_EVERY, MAX_LABEL, MAX_METRIC, MAX_METRICS, MAX_READINGS, MAX_UNIT, MAX_VALUE,
    NO_TEXT, NO_WHOLE, Reading, Recalled, Refusal, Report, Taken, Threshold, is_metric, tidy, why,
};
use duplex_hub::decider::{Context, Millis};
use duplex_protocol::session::Rejection;

/// A number of at most fifteen digits: each of them survives, and what a float adds beyond is left out.
pub fn kept(value: f64) -> f64 {
    // Nothing becomes zero, and zero has no sign.
    format!("{value:.14e}").parse().unwrap_or(value) + 0.0
}

pub fn reported(at: Context<'_>, device: &Device, report: Report) -> Result<Vec<DeviceEvent>, Rejection> {
    if report.readings.len() > MAX_READINGS {
        return Err(Rejection::refused(why::TOO_MANY_READINGS));
    }
    let (mut readings, mut refused) = (Vec::new(), Vec::new());
    for reading in &report.readings {
        match take(at.now, device, &readings, reading) {
            Ok(taken) => readings.push(taken),
            Err(why) => refused.push(refusal(&reading.metric, why)),
        }
    }
    let said = Said::new(device, &report, &mut refused);
    let alarms = alarms(device, &readings, at.now);
    let mut events = vec![DeviceEvent::Reported {
        at: at.now,
        readings,
        refused,
        name: said.name,
        place: said.place,
        every: said.every,
    }];
    events.extend(alarms);
    Ok(events)
}

/// What was the device's last word, without saying when. Compared with what is known of it: the same again changes nothing, however
/// often it comes. A reading that has a time of its own counts as ever, if it is newer than what is known.
pub fn recalled(at: Context<'_>, device: &Device, report: Report) -> Result<Vec<DeviceEvent>, Rejection> {
    if report.readings.len() > MAX_READINGS {
        return Err(Rejection::refused(why::TOO_MANY_READINGS));
    }
    let (mut dated, mut undated, mut refused) = (Vec::new(), Vec::<Taken>::new(), Vec::new());
    for reading in &report.readings {
        let before = [&dated[..], &undated[..]].concat();
        match take(at.now, device, &before, reading) {
            Err(why) => refused.push(refusal(&reading.metric, why)),
            Ok(taken) if reading.at.is_some() => dated.push(taken),
            // Of several of one metric the larger counts, as it does when they are live.
            Ok(taken) => match undated.iter_mut().find(|one| one.metric == taken.metric) {
                Some(one) if one.value.total_cmp(&taken.value).is_ge() => {}
                Some(one) => *one = taken,
                None => undated.push(taken),
            },
        }
    }
    let known = |taken: &Taken| device.metrics.get(&taken.metric);
    dated.retain(|one| known(one).is_none_or(|metric| metric.is_outranked((one.at, one.value), at.now)));
    undated.retain(|one| known(one).is_none_or(|metric| (metric.value, &metric.unit) != (one.value, &one.unit)));
    let said = Said::new(device, &report, &mut refused);
    refused.retain(|refusal| device.refusals.iter().all(|known| known.refusal != *refusal));
    let judged: Vec<_> = undated
        .iter()
        .filter_map(|one| Some((one, known(one)?)))
        .flat_map(|(one, metric)| judge(device, &one.metric, metric.threshold, one.value, at.now))
        .collect();
    let alarms: Vec<_> = alarms(device, &dated, at.now).into_iter().chain(judged).collect();
    let mut events = Vec::new();
    if !undated.is_empty() || !refused.is_empty() || said.is_news() {
        events.push(DeviceEvent::Recalled {
            at: at.now,
            values: undated.into_iter().map(without_time).collect(),
            refused,
            name: said.name,
            place: said.place,
            every: said.every,
        });
    }
    if !dated.is_empty() {
        events.push(DeviceEvent::Reported {
            at: at.now,
            readings: dated,
            refused: Vec::new(),
            name: None,
            place: None,
            every: None,
        });
    }
    events.extend(alarms);
    Ok(events)
}

fn without_time(taken: Taken) -> Recalled {
    let Taken {
        metric, value, unit, ..
    } = taken;
    Recalled { metric, value, unit }
}

fn refusal(metric: &str, why: &str) -> Refusal {
    Refusal {
        metric: tidy(metric, MAX_METRIC),
        why: why.to_owned(),
    }
}

/// What a device says of itself that was not known.
struct Said {
    name: Option<String>,
    place: Option<String>,
    every: Option<u32>,
}

impl Said {
    fn new(device: &Device, report: &Report, refused: &mut Vec<Refusal>) -> Self {
        let mut label = |field: &str, said: Option<&String>, kept: &str| {
            if said.is_some_and(|said| said == NO_TEXT) {
                refused.push(refusal(field, why::NOT_A_TEXT));
                return None;
            }
            said.map(|label| tidy(label, MAX_LABEL)).filter(|said| said != kept)
        };
        let name = label("name", report.name.as_ref(), &device.name);
        let place = label("place", report.place.as_ref(), &device.place);
        if report.every == Some(u32::MAX) {
            refused.push(refusal("every", why::BAD_EVERY));
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

    const fn is_news(&self) -> bool {
        self.name.is_some() || self.place.is_some() || self.every.is_some()
    }
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
    if at == NO_WHOLE {
        return Err(why::BAD_TIME);
    }
    if at > now.saturating_add(MAX_AHEAD) {
        return Err(why::IN_FUTURE);
    }
    if at < now.saturating_sub(MAX_AGE) {
        return Err(why::TOO_OLD);
    }
    if reading.unit.as_deref() == Some(NO_TEXT) {
        return Err(why::NOT_A_TEXT);
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
            .filter(|one| metric.is_outranked(*one, now));
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
