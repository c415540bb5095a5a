//! The faults panel: buttons that inject real faults into this session, and a timeline of what followed.

use std::time::Duration;

use leptos::{leptos_dom::helpers::TimeoutHandle, prelude::*, task::spawn_local};

use super::{
    drawer::TraceVersion,
    texts::{event_text, fault_name, rejection_text},
    timeline::{FaultPeriod, PeriodEvent, fault_periods},
};
use crate::{
    i18n::*,
    ui::{
        format,
        text::{TextKey, dynamic_view, fill, optional_text, t, text_key, translate},
    },
    wire::number,
};
use duplex_leptos::trace::{Inspection, RequestedFault};
use duplex_protocol::fault::{Fault, FaultReport, MAX_DELAY_MS, MAX_FAULT_MS};

/// The fields' initial values.
const DEFAULT_SECONDS: u32 = 10;
const DEFAULT_DELAY_MS: u32 = 300;
/// The interval at which the report is refreshed while a fault is active.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of fault periods shown.
const MAX_PERIODS: usize = 12;

#[derive(Clone, Copy)]
struct FaultFields {
    seconds: RwSignal<String>,
    delay: RwSignal<String>,
    /// A field is out of range, so no fault was requested.
    invalid: RwSignal<bool>,
}

impl FaultFields {
    fn duration_ms(self) -> Option<u32> {
        let seconds = number::parse_u32(&self.seconds.get_untracked())?;
        Some(seconds.saturating_mul(1000)).filter(|ms| (1000..=MAX_FAULT_MS).contains(ms))
    }

    fn delay_ms(self) -> Option<u32> {
        number::parse_u32(&self.delay.get_untracked()).filter(|ms| (1..=MAX_DELAY_MS).contains(ms))
    }
}

#[component]
pub fn Faults(inspection: Inspection, version: TraceVersion) -> impl IntoView {
    let settings = FaultFields {
        seconds: RwSignal::new(DEFAULT_SECONDS.to_string()),
        delay: RwSignal::new(DEFAULT_DELAY_MS.to_string()),
        invalid: RwSignal::new(false),
    };
    let report = RwSignal::new(None::<FaultReport>);
    refresh_report(&inspection, version, report);
    view! {
        <section class="inspector-section" aria-labelledby="inspector-faults">
            <h3 id="inspector-faults">{t!(inspector.faults)}</h3>
            <p class="hint">{t!(inspector.faults_text)}</p>
            <Fields settings/>
            <FaultButtons inspection=inspection.clone() settings report/>
            <ActiveFaults report/>
        </section>
        <Timeline inspection version/>
    }
}

/// Fetches the server's report after each event of the session, and each second while a fault is active.
fn refresh_report(inspection: &Inspection, version: TraceVersion, report: RwSignal<Option<FaultReport>>) {
    let inspection = inspection.clone();
    let newest_event = Memo::new({
        let shared = inspection.trace();
        move |_| {
            version.track();
            shared.with(|trace| (trace.session.clone(), trace.events.back().map(|event| event.number)))
        }
    });
    let tick = RwSignal::new(0_u32);
    Effect::new(move |_| {
        if !report.get().is_some_and(is_active) {
            return;
        }
        let timer = set_timeout_with_handle(
            move || tick.update(|tick| *tick = tick.wrapping_add(1)),
            REPORT_INTERVAL,
        )
        .ok();
        on_cleanup(move || {
            timer.as_ref().map(TimeoutHandle::clear);
        });
    });
    Effect::new(move |_| {
        newest_event.track();
        tick.track();
        let inspection = inspection.clone();
        spawn_local(async move {
            if let Some(answer) = inspection.report().await {
                report.try_set(Some(answer));
            }
        });
    });
}

const fn is_active(report: FaultReport) -> bool {
    report.delay_ms > 0 || report.stall_ms > 0 || report.websocket_blocked_ms > 0 || report.sse_blocked_ms > 0
}

#[component]
fn Fields(settings: FaultFields) -> impl IntoView {
    let i18n = use_i18n();
    let error_text = optional_text(move || {
        let (seconds, delay) = ((MAX_FAULT_MS / 1000).to_string(), MAX_DELAY_MS.to_string());
        let key: TextKey = text_key!(inspector.bad_number);
        let values = [("seconds", &*seconds), ("delay", &*delay)];
        settings.invalid.get().then(|| fill(key(i18n.get_locale()), &values))
    });
    view! {
        <div class="row">
            <label class="field narrow">
                <span>{t!(inspector.seconds)}</span>
                <input name="seconds" inputmode="numeric" autocomplete="off" bind:value=settings.seconds/>
            </label>
            <label class="field narrow">
                <span>{t!(inspector.delay_ms)}</span>
                <input name="delay" inputmode="numeric" autocomplete="off" bind:value=settings.delay/>
            </label>
        </div>
        <p class="problem" role="alert">{error_text}</p>
    }
}

/// A button. `fault` returns the fault for the fields' values.
struct FaultButton {
    key: &'static str,
    name: TextKey,
    description: TextKey,
    fault: fn(FaultFields) -> Option<RequestedFault>,
}

fn fault_buttons() -> [FaultButton; 8] {
    let button = |key, name: TextKey, description: TextKey, fault| FaultButton {
        key,
        name,
        description,
        fault,
    };
    [
        button("cut", text_key!(inspector.cut), text_key!(inspector.cut_text), |_| {
            Some(RequestedFault::Server(Fault::Disconnect))
        }),
        button(
            "block_websocket",
            text_key!(inspector.block_websocket),
            text_key!(inspector.block_websocket_text),
            |settings| block(settings, false),
        ),
        button(
            "block_sse",
            text_key!(inspector.block_sse),
            text_key!(inspector.block_sse_text),
            |settings| block(settings, true),
        ),
        button(
            "unblock",
            text_key!(inspector.unblock),
            text_key!(inspector.unblock_text),
            |_| Some(RequestedFault::Server(Fault::Unblock)),
        ),
        button(
            "offline",
            text_key!(inspector.offline),
            text_key!(inspector.offline_text),
            |settings| settings.duration_ms().map(RequestedFault::Offline),
        ),
        button(
            "delay",
            text_key!(inspector.delay),
            text_key!(inspector.delay_text),
            |settings| {
                let (by_ms, for_ms) = (settings.delay_ms()?, settings.duration_ms()?);
                Some(RequestedFault::Server(Fault::Delay { by_ms, for_ms }))
            },
        ),
        button(
            "slow",
            text_key!(inspector.slow),
            text_key!(inspector.slow_text),
            |settings| {
                let for_ms = settings.duration_ms()?;
                Some(RequestedFault::Server(Fault::Stall { for_ms }))
            },
        ),
        button(
            "drain",
            text_key!(inspector.drain),
            text_key!(inspector.drain_text),
            |_| Some(RequestedFault::Server(Fault::Drain)),
        ),
    ]
}

fn block(settings: FaultFields, sse: bool) -> Option<RequestedFault> {
    let for_ms = settings.duration_ms()?;
    Some(RequestedFault::Server(Fault::Block {
        websocket: true,
        sse,
        for_ms,
    }))
}

#[component]
fn FaultButtons(inspection: Inspection, settings: FaultFields, report: RwSignal<Option<FaultReport>>) -> impl IntoView {
    let list = fault_buttons().map(|button| {
        let inspection = inspection.clone();
        // Going offline is local to the page, so the server need not allow it.
        let local = button.key == "offline";
        let disabled = move || !local && report.get().is_some_and(|report| !report.enabled);
        let inject = move |_| {
            let inspection = inspection.clone();
            let fault = (button.fault)(settings);
            settings.invalid.set(fault.is_none());
            match fault {
                None => {}
                Some(RequestedFault::Offline(for_ms)) => inspection.go_offline(for_ms),
                Some(RequestedFault::Server(fault)) => spawn_local(async move {
                    if let Ok(answer) = inspection.request_fault(fault).await {
                        report.try_set(Some(answer));
                    }
                }),
            }
        };
        view! {
            <li>
                <button type="button" class="button small" data-fault=button.key disabled=disabled on:click=inject>{translate(button.name)}</button>
                <p class="hint">{translate(button.description)}</p>
            </li>
        }
    });
    view! { <ul class="inspector-fault-buttons">{list.into_iter().collect_view()}</ul> }
}

/// The active faults, or a note that the operator does not allow any.
#[component]
fn ActiveFaults(report: RwSignal<Option<FaultReport>>) -> impl IntoView {
    let i18n = use_i18n();
    let summary = optional_text(move || {
        let report = report.get()?;
        let locale = i18n.get_locale();
        if !report.enabled {
            let key: TextKey = text_key!(inspector.faults_off);
            return Some(key(locale).to_owned());
        }
        let faults: [(TextKey, u64); 4] = [
            (text_key!(inspector.force_websocket), report.websocket_blocked_ms),
            (text_key!(inspector.force_sse), report.sse_blocked_ms),
            (text_key!(inspector.force_delay), report.delay_ms),
            (text_key!(inspector.force_slow), report.stall_ms),
        ];
        let active: Vec<_> = faults
            .iter()
            .filter(|(_, left)| *left > 0)
            .map(|(key, left)| fill(key(locale), &[("seconds", &left.div_ceil(1000).to_string())]))
            .collect();
        (!active.is_empty()).then(|| active.join(" · "))
    });
    view! { <p class="inspector-active-faults" role="status">{summary}</p> }
}

#[component]
fn Timeline(inspection: Inspection, version: TraceVersion) -> impl IntoView {
    let i18n = use_i18n();
    let body = dynamic_view(move || {
        version.track();
        let periods = inspection
            .trace()
            .with(|trace| fault_periods(&trace.events, trace.audit.counts()));
        let shown = periods.into_iter().take(MAX_PERIODS);
        Some(
            shown
                .map(|period| period_view(i18n.get_locale(), &period))
                .collect_view()
                .into_any(),
        )
    });
    view! {
        <section class="inspector-section" aria-labelledby="inspector-timeline">
            <h3 id="inspector-timeline">{t!(inspector.timeline)}</h3>
            {body}
        </section>
    }
}

fn period_view(locale: Locale, period: &FaultPeriod) -> AnyView {
    // "begin" marks the events before the first fault.
    let fault = period.fault.map_or("begin", fault_key);
    let name = fault_name(period.fault)(locale);
    let rejection = period.rejected.map(|status| rejection_text(locale, status));
    let event = |event: &PeriodEvent| {
        let after = ["+", &format::millis(locale, event.after)].concat();
        view! { <li><span class="number">{after}</span> <span>{event_text(locale, &event.kind)}</span></li> }
    };
    let delivered = {
        let key: TextKey = text_key!(inspector.chapter_told);
        let [events, gaps, duplicates] = [
            period.delivered.events,
            period.delivered.gaps,
            period.delivered.duplicates,
        ]
        .map(format::grouped);
        fill(
            key(locale),
            &[("events", &events), ("gaps", &gaps), ("duplicates", &duplicates)],
        )
    };
    view! {
        <article class="inspector-fault-period" data-fault=fault data-clean=period.delivered.is_clean().to_string()>
            <h4>{name}</h4>
            <p class="problem">{rejection}</p>
            <ol>{period.events.iter().map(event).collect_view()}</ol>
            <p class="delivery-counts">{delivered}</p>
        </article>
    }
    .into_any()
}

const fn fault_key(fault: RequestedFault) -> &'static str {
    match fault {
        RequestedFault::Server(fault) => fault.name(),
        RequestedFault::Offline(_) => "offline",
    }
}
