//! One device: its values and their history, its alarms, and what it was asked.

use leptos::prelude::*;
use leptos_meta::Title;

use super::{
    super::{
        model::Device,
        wire::{Devices, Millis, device_path, owner},
    },
    alarms::Alarms,
    clock::Clock,
    history::History,
    orders::Orders,
    overview::{demo_note, loading},
    thresholds::Thresholds,
    values::Values,
    words,
};
use crate::{
    i18n::*,
    ui::{
        card::Card,
        format,
        not_found::respond_not_found,
        permissions::Permissions,
        text::{dynamic_text, dynamic_view, fill, labeled_value, optional_text, page_title, t, text_key},
    },
    wire::{form::RejectedForm, text::isolated},
};
use duplex_leptos::topic::{Live, TopicStatus, UseTopic, use_topic};

/// What the parts of a device's page share.
#[derive(Clone, Copy)]
pub struct Shown {
    pub device: UseTopic<Devices>,
    pub clock: Clock,
    pub id: StoredValue<String>,
    /// The visitor may give it orders, and set when it alarms.
    pub may_control: Signal<bool>,
    /// The metric whose history is drawn.
    metric: RwSignal<Option<String>>,
    refused: NotDone,
}

/// The form that was posted without scripts and had no effect.
type NotDone = StoredValue<Option<RejectedForm>>;

impl Shown {
    pub fn path(self) -> String {
        self.id.with_value(|id| device_path(id))
    }

    /// The chosen metric, or the first.
    pub fn metric(self) -> Option<String> {
        self.metric
            .get()
            .or_else(|| self.device.state.with(|device| device.metrics.keys().next().cloned()))
    }

    pub fn choose(self, metric: String) {
        self.metric.set(Some(metric));
    }

    /// What was typed in the form of this act that was refused.
    pub fn typed(self, act: &str, field: &str) -> Option<String> {
        self.refused.with_value(|refused| typed(refused.as_ref(), act, field))
    }

    pub fn names(self) -> Vec<String> {
        self.device
            .state
            .with(|device| device.metrics.keys().cloned().collect())
    }
}

fn typed(refused: Option<&RejectedForm>, act: &str, field: &str) -> Option<String> {
    let fields = &refused?.fields;
    let is_its = fields.get("act").is_some_and(|posted| posted == act);
    fields.get(field).filter(|_| is_its).cloned()
}

pub fn detail(clock: Clock, id: String) -> AnyView {
    let device = use_topic::<Devices>(&id);
    // Not within `Live`, which the server renders later than the browser: shared values go by their order.
    let refused = StoredValue::new(SharedValue::new(use_context::<RejectedForm>).into_inner());
    view! {
        <Live topic=device fallback=loading>
            {place(device, clock, refused, id)}
        </Live>
    }
    .into_any()
}

fn place(device: UseTopic<Devices>, clock: Clock, refused: NotDone, id: String) -> AnyView {
    let known = Memo::new(move |_| device.state.with(|device| device.reports > 0));
    dynamic_view(move || {
        Some(if known.get() {
            open(Shown {
                device,
                clock,
                may_control: may_control(device, &id),
                id: StoredValue::new(id.clone()),
                metric: RwSignal::new(refused.with_value(|refused| typed(refused.as_ref(), "threshold", "metric"))),
                refused,
            })
        } else {
            missing(device)
        })
    })
    .into_any()
}

/// An operator may, and everybody where that was opened to them; and a visitor their own browser.
fn may_control(device: UseTopic<Devices>, id: &str) -> Signal<bool> {
    let permits = Permissions::current();
    let owner = owner(id).map(str::to_owned);
    Signal::derive(move || {
        let own = owner
            .as_ref()
            .is_some_and(|owner| device.me.with(|me| me.as_ref().is_some_and(|me| me.id.0 == *owner)));
        // Somebody else's browser is theirs, whoever asks.
        own || (owner.is_none() && permits.may_control())
    })
}

/// Where orders and thresholds would be, why they are not.
fn closed(shown: Shown) -> AnyView {
    let note = dynamic_view(move || {
        (!shown.may_control.get()).then(|| {
            view! {
                <p class="hint device-closed">{t!(devices.operators_only)}" "<a href="/status">{t!(devices.to_sign_in)}</a></p>
            }
            .into_any()
        })
    });
    view! { {note} }.into_any()
}

/// Nothing was ever heard of it; the moment something is, the page is there.
fn missing(device: UseTopic<Devices>) -> AnyView {
    // Before there is a state, nobody knows.
    if device.status.with_untracked(|status| *status != TopicStatus::Loading) {
        respond_not_found();
    }
    view! {
        <Title text=page_title(t!(devices.missing))/>
        <div class="page-head">
            <p><a href="/devices">{t!(devices.back)}</a></p>
            <h1>{t!(devices.missing)}</h1>
            <p class="lede">{t!(devices.missing_text)}</p>
        </div>
    }
    .into_any()
}

fn open(shown: Shown) -> AnyView {
    let i18n = use_i18n();
    let title = dynamic_text(move || {
        let (locale, id) = (i18n.get_locale(), shown.id.get_value());
        shown
            .device
            .state
            .with(|device| words::device(locale, &id, &device.name))
    });
    view! {
        <Title text=page_title(move || title.get())/>
        <header class="device-head">
            <p><a href="/devices">{t!(devices.back)}</a></p>
            <div class="row">
                <h1 dir="auto">{title}</h1>
                {health(shown)}
            </div>
            {place_line(shown)}
            {stale(shown)}
            {demo_note()}
            {closed(shown)}
            {not_done(shown)}
        </header>
        <Values shown/>
        <div class="grid">
            <Card id="device-history" title=text_key!(devices.history) class="wide"><History shown/></Card>
            <Card id="device-alarms" title=text_key!(devices.alarms)>
                <Alarms shown/>
                <Thresholds shown/>
            </Card>
            <Card id="device-orders" title=text_key!(devices.orders)><Orders shown/></Card>
            <Card id="device-reports" title=text_key!(devices.reports) class="wide">{reports(shown)}</Card>
        </div>
    }
    .into_any()
}

fn health(shown: Shown) -> AnyView {
    let i18n = use_i18n();
    let health = Memo::new(move |_| shown.device.state.with(|device| device.health));
    let word = dynamic_text(move || words::health(health.get()).0.to_owned());
    let said = dynamic_text(move || (words::health(health.get()).1)(i18n.get_locale()).to_owned());
    let seen = dynamic_text(move || {
        let seen = shown.device.state.with(|device| device.seen);
        shown.clock.ago(i18n.get_locale(), seen)
    });
    view! {
        <p class="device-health" data-health=word>
            <span class="health" role="status"><span class="dot" aria-hidden="true"></span>{said}</span>
            <span class="hint">{seen}</span>
        </p>
    }
    .into_any()
}

fn place_line(shown: Shown) -> AnyView {
    let line = dynamic_text(move || {
        let id = shown.id.get_value();
        shown.device.state.with(|device| match device.place.as_str() {
            "" => id,
            place => format!("{id} · {}", isolated(place)),
        })
    });
    view! { <p class="lede" dir="auto">{line}</p> }.into_any()
}

/// Whether what is shown is current.
fn stale(shown: Shown) -> AnyView {
    let i18n = use_i18n();
    let status = shown.device.status;
    let word = dynamic_text(move || words::status(status.get()).0.to_owned());
    let said = dynamic_text(move || (words::status(status.get()).1)(i18n.get_locale()).to_owned());
    view! {
        <p class="devices-status script" role="status" data-status=word>
            <span class="dot" aria-hidden="true"></span>
            <span>{said}</span>
        </p>
    }
    .into_any()
}

/// Why a form that was posted without scripts had no effect.
fn not_done(shown: Shown) -> AnyView {
    let i18n = use_i18n();
    let problem = optional_text(move || {
        let why = shown
            .refused
            .with_value(|refused| Some(refused.as_ref()?.rejection.clone()));
        Some(words::rejection(i18n.get_locale(), &why?))
    });
    view! { <p class="problem devices-problem" role="alert">{problem}</p> }.into_any()
}

/// How it reports, and what did not count.
fn reports(shown: Shown) -> AnyView {
    let i18n = use_i18n();
    let of = move |value: fn(&Device) -> u64| dynamic_text(move || format::grouped(shown.device.state.with(value)));
    let every = dynamic_text(move || match shown.device.state.with(|device| device.every) {
        0 => t_string!(i18n, devices.not_said).to_owned(),
        seconds => format::duration(i18n.get_locale(), seconds.into()),
    });
    let refusals = Memo::new(move |_| shown.device.state.with(|device| device.refusals.clone()));
    let list = dynamic_view(move || {
        let locale = i18n.get_locale();
        let line = |refused: &super::super::model::Refused| {
            let why = words::refusal(locale, &refused.refusal.why);
            let metric = words::metric(locale, &refused.refusal.metric);
            row(shown.clock.time(locale, refused.at, true), metric, why)
        };
        Some(
            refusals
                .with(|refusals| refusals.iter().map(line).collect_view())
                .into_any(),
        )
    });
    let kept = dynamic_text(move || fill(t_string!(i18n, devices.kept), &[("days", "7")]));
    view! {
        <dl class="facts">
            {labeled_value(text_key!(devices.reports_heard), "reports", of(|device| device.reports))}
            {labeled_value(text_key!(devices.every), "every", every)}
            {labeled_value(text_key!(devices.late_readings), "late", of(|device| device.late))}
            {labeled_value(text_key!(devices.refused_readings), "refused", of(|device| device.refused))}
        </dl>
        <ul class="refusals">{list}</ul>
        <p class="hint">{kept}</p>
    }
    .into_any()
}

fn row(at: String, metric: String, why: String) -> AnyView {
    view! { <li><span class="hint">{at}</span>" "<span class="mono">{metric}</span>" "<span>{why}</span></li> }
        .into_any()
}

/// When something was, in words that follow the visitor's language.
pub fn time(shown: Shown, locale: Locale, at: Millis) -> String {
    shown.clock.time(locale, at, true)
}
