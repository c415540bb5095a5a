//! The page of one device: values and their history, alarms, thresholds and orders.

use leptos::prelude::*;
use leptos_meta::Title;

use super::{
    super::{
        model::Device,
        wire::{Devices, Millis, browser_owner, device_path},
    },
    alarms::Alarms,
    clock::Clock,
    history::History,
    labels,
    orders::Orders,
    overview::{demo_note, loading},
    thresholds::Thresholds,
    values::Values,
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

/// The context that the components of a device's page share.
#[derive(Clone, Copy)]
pub struct DeviceContext {
    pub device: UseTopic<Devices>,
    pub clock: Clock,
    pub id: StoredValue<String>,
    /// Whether the visitor may send orders and set thresholds.
    pub may_control: Signal<bool>,
    /// The metric whose history is drawn.
    metric: RwSignal<Option<String>>,
    rejected_form: StoredForm,
}

/// The form that was posted without scripts and rejected.
type StoredForm = StoredValue<Option<RejectedForm>>;

impl DeviceContext {
    pub fn path(self) -> String {
        self.id.with_value(|id| device_path(id))
    }

    /// The selected metric, or the first.
    pub fn selected_metric(self) -> Option<String> {
        self.metric
            .get()
            .or_else(|| self.device.state.with(|device| device.metrics.keys().next().cloned()))
    }

    pub fn select_metric(self, metric: String) {
        self.metric.set(Some(metric));
    }

    /// The value of a field of the rejected form, if its action was `act`.
    pub fn posted(self, act: &str, field: &str) -> Option<String> {
        self.rejected_form
            .with_value(|rejected| posted(rejected.as_ref(), act, field))
    }

    pub fn metrics(self) -> Vec<String> {
        self.device
            .state
            .with(|device| device.metrics.keys().cloned().collect())
    }
}

fn posted(rejected: Option<&RejectedForm>, act: &str, field: &str) -> Option<String> {
    let fields = &rejected?.fields;
    let is_same_form = fields.get("act").is_some_and(|posted| posted == act);
    fields.get(field).filter(|_| is_same_form).cloned()
}

pub fn detail(clock: Clock, id: String) -> AnyView {
    let device = use_topic::<Devices>(&id);
    // Must be created outside `Live`: shared values are matched by creation order, and the server renders the children of `Live`
    // later than the browser does.
    let rejected = StoredValue::new(SharedValue::new(use_context::<RejectedForm>).into_inner());
    view! {
        <Live topic=device fallback=loading>
            {page_or_not_found(device, clock, rejected, id)}
        </Live>
    }
    .into_any()
}

fn page_or_not_found(device: UseTopic<Devices>, clock: Clock, rejected: StoredForm, id: String) -> AnyView {
    let exists = Memo::new(move |_| device.state.with(|device| device.reports > 0));
    dynamic_view(move || {
        Some(if exists.get() {
            page(DeviceContext {
                device,
                clock,
                may_control: may_control(device, &id),
                id: StoredValue::new(id.clone()),
                metric: RwSignal::new(rejected.with_value(|rejected| posted(rejected.as_ref(), "threshold", "metric"))),
                rejected_form: rejected,
            })
        } else {
            not_found(device)
        })
    })
    .into_any()
}

/// Whether the visitor may control the device: true for an operator, for everyone with `--demo`, and for a visitor's own browser.
fn may_control(device: UseTopic<Devices>, id: &str) -> Signal<bool> {
    let permits = Permissions::current();
    let owner = browser_owner(id).map(str::to_owned);
    Signal::derive(move || {
        let is_owner = owner
            .as_ref()
            .is_some_and(|owner| device.me.with(|me| me.as_ref().is_some_and(|me| me.id.0 == *owner)));
        // A browser can be controlled by its own visitor only.
        is_owner || (owner.is_none() && permits.may_control())
    })
}

/// Explains why the forms for orders and thresholds are missing.
fn sign_in_note(cx: DeviceContext) -> AnyView {
    let note = dynamic_view(move || {
        (!cx.may_control.get()).then(|| {
            view! {
                <p class="hint device-sign-in-note">{t!(devices.operators_only)}" "<a href="/status">{t!(devices.to_sign_in)}</a></p>
            }
            .into_any()
        })
    });
    view! { {note} }.into_any()
}

/// Shown until the device's first report.
fn not_found(device: UseTopic<Devices>) -> AnyView {
    // While the state is loading, the device may still exist.
    if device.status.with_untracked(|status| *status != TopicStatus::Loading) {
        respond_not_found();
    }
    view! {
        <Title text=page_title(t!(devices.missing))/>
        <div class="page-header">
            <p><a href="/devices">{t!(devices.back)}</a></p>
            <h1>{t!(devices.missing)}</h1>
            <p class="lede">{t!(devices.missing_text)}</p>
        </div>
    }
    .into_any()
}

fn page(cx: DeviceContext) -> AnyView {
    let i18n = use_i18n();
    let title = dynamic_text(move || {
        let (locale, id) = (i18n.get_locale(), cx.id.get_value());
        cx.device.state.with(|device| labels::device(locale, &id, &device.name))
    });
    view! {
        <Title text=page_title(move || title.get())/>
        <header class="device-header">
            <p><a href="/devices">{t!(devices.back)}</a></p>
            <div class="row">
                <h1 dir="auto">{title}</h1>
                {health(cx)}
            </div>
            {place(cx)}
            {connection_status(cx)}
            {demo_note()}
            {sign_in_note(cx)}
            {form_problem(cx)}
        </header>
        <Values cx/>
        <div class="grid">
            <Card id="device-history" title=text_key!(devices.history) class="wide"><History cx/></Card>
            <Card id="device-alarms" title=text_key!(devices.alarms)>
                <Alarms cx/>
                <Thresholds cx/>
            </Card>
            <Card id="device-orders" title=text_key!(devices.orders)><Orders cx/></Card>
            <Card id="device-reports" title=text_key!(devices.reports) class="wide">{reports(cx)}</Card>
        </div>
    }
    .into_any()
}

fn health(cx: DeviceContext) -> AnyView {
    let i18n = use_i18n();
    let health = Memo::new(move |_| cx.device.state.with(|device| device.health));
    let status_code = dynamic_text(move || labels::health(health.get()).0.to_owned());
    let label = dynamic_text(move || (labels::health(health.get()).1)(i18n.get_locale()).to_owned());
    let seen = dynamic_text(move || {
        let seen = cx.device.state.with(|device| device.last_seen);
        cx.clock.ago(i18n.get_locale(), seen)
    });
    view! {
        <p class="device-health" data-health=status_code>
            <span class="health" role="status"><span class="dot" aria-hidden="true"></span>{label}</span>
            <span class="hint">{seen}</span>
        </p>
    }
    .into_any()
}

fn place(cx: DeviceContext) -> AnyView {
    let line = dynamic_text(move || {
        let id = cx.id.get_value();
        cx.device.state.with(|device| match device.place.as_str() {
            "" => id,
            place => format!("{id} · {}", isolated(place)),
        })
    });
    view! { <p class="lede" dir="auto">{line}</p> }.into_any()
}

/// The status of the subscription, which says whether the values are current.
fn connection_status(cx: DeviceContext) -> AnyView {
    let i18n = use_i18n();
    let status = cx.device.status;
    let status_code = dynamic_text(move || labels::status(status.get()).0.to_owned());
    let label = dynamic_text(move || (labels::status(status.get()).1)(i18n.get_locale()).to_owned());
    view! {
        <p class="devices-status script-only" role="status" data-status=status_code>
            <span class="dot" aria-hidden="true"></span>
            <span>{label}</span>
        </p>
    }
    .into_any()
}

/// The reason why a form posted without scripts was rejected.
fn form_problem(cx: DeviceContext) -> AnyView {
    let i18n = use_i18n();
    let problem = optional_text(move || {
        let why = cx
            .rejected_form
            .with_value(|rejected| Some(rejected.as_ref()?.rejection.clone()));
        Some(labels::rejection(i18n.get_locale(), &why?))
    });
    view! { <p class="problem devices-problem" role="alert">{problem}</p> }.into_any()
}

/// Counts of reports, and the rejected readings.
fn reports(cx: DeviceContext) -> AnyView {
    let i18n = use_i18n();
    let count = move |value: fn(&Device) -> u64| dynamic_text(move || format::grouped(cx.device.state.with(value)));
    let every = dynamic_text(move || match cx.device.state.with(|device| device.every) {
        0 => t_string!(i18n, devices.not_said).to_owned(),
        seconds => format::duration(i18n.get_locale(), seconds.into()),
    });
    let rejections = Memo::new(move |_| cx.device.state.with(|device| device.rejections.clone()));
    let list = dynamic_view(move || {
        let locale = i18n.get_locale();
        let rejection_item = |record: &super::super::wire::RejectionRecord| {
            let why = labels::reason_text(locale, &record.reading.why);
            let metric = labels::metric(locale, &record.reading.metric);
            row(cx.clock.time(locale, record.at, true), metric, why)
        };
        Some(
            rejections
                .with(|rejections| rejections.iter().map(rejection_item).collect_view())
                .into_any(),
        )
    });
    let retention = dynamic_text(move || fill(t_string!(i18n, devices.kept), &[("days", "7")]));
    view! {
        <dl class="properties">
            {labeled_value(text_key!(devices.reports_heard), "reports", count(|device| device.reports))}
            {labeled_value(text_key!(devices.every), "every", every)}
            {labeled_value(text_key!(devices.late_readings), "late", count(|device| device.late))}
            {labeled_value(text_key!(devices.rejected_readings), "refused", count(|device| device.rejected))}
        </dl>
        <ul class="rejections">{list}</ul>
        <p class="hint">{retention}</p>
    }
    .into_any()
}

fn row(at: String, metric: String, why: String) -> AnyView {
    view! { <li><span class="hint">{at}</span>" "<span class="mono">{metric}</span>" "<span>{why}</span></li> }
        .into_any()
}

/// A time with its date, in the visitor's language.
pub fn time(cx: DeviceContext, locale: Locale, at: Millis) -> String {
    cx.clock.time(locale, at, true)
}
