//! The card that turns the visitor's browser into a device, which reports its battery and network. Nothing is reported during
//! server rendering.

use std::time::Duration;

use leptos::{leptos_dom::helpers::IntervalHandle, prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::super::wire::{DeviceCommand, Devices, Fleet, LenientNumber, Reading, Report, browser_id, device_path};
use crate::{
    i18n::*,
    ui::text::{dynamic_text, dynamic_view, t},
};
use duplex_leptos::{
    status::{Phase, SessionStatus, use_session_status},
    topic::{UseTopic, use_topic},
};

/// Seconds between two reports.
const EVERY: u32 = 10;

#[component]
pub fn ThisBrowser(fleet: UseTopic<Fleet>) -> impl IntoView {
    let i18n = use_i18n();
    let enabled = RwSignal::new(false);
    let id = Memo::new(move |_| fleet.me.with(|me| me.as_ref().map(|me| browser_id(&me.id))));
    let label = dynamic_text(move || {
        let locale = i18n.get_locale();
        if enabled.get() {
            td_string!(locale, devices.browser_stop)
        } else {
            td_string!(locale, devices.browser_start)
        }
        .to_owned()
    });
    let reporter = dynamic_view(move || enabled.get().then(|| id.get().map(reporter)).flatten());
    let pressed = dynamic_text(move || enabled.get().to_string());
    view! {
        <section class="card browser-device script-only" aria-labelledby="this-browser-title">
            <h2 id="this-browser-title">{t!(devices.browser)}</h2>
            <p class="hint">{t!(devices.browser_text)}</p>
            <div class="row">
                <button type="button" class="button" aria-pressed=pressed on:click=move |_| enabled.update(|on| *on = !*on)>{label}</button>
                {reporter}
            </div>
        </section>
    }
    .into_any()
}

/// Reports while it is mounted, and links to the browser's page.
fn reporter(id: String) -> AnyView {
    let device = use_topic::<Devices>(&id);
    let session = use_session_status();
    Effect::new(move |_| {
        let report = move || {
            let status = session.get_untracked();
            // Skip while disconnected: a queued report would get its time of arrival, not of measurement.
            if status.phase == Phase::Live {
                spawn_local(async move {
                    let report = measure(&status).await;
                    device.send(DeviceCommand::Report(report));
                });
            }
        };
        report();
        let timer = set_interval_with_handle(report, Duration::from_secs(EVERY.into())).ok();
        on_cleanup(move || {
            timer.as_ref().map(IntervalHandle::clear);
        });
    });
    view! { <a class="button" href=device_path(&id)>{t!(devices.browser_page)}</a> }.into_any()
}

async fn measure(session: &SessionStatus) -> Report {
    let navigator: JsValue = window().navigator().into();
    let mut readings = Vec::new();
    let mut add = |metric: &str, value: Option<f64>, unit: &str| {
        if let Some(value) = value {
            readings.push(Reading {
                metric: metric.to_owned(),
                value: LenientNumber(value),
                unit: Some(unit.to_owned()),
                at: None,
            });
        }
    };
    add("round_trip", session.round_trip, "ms");
    let connection = get(&navigator, "connection");
    add("downlink", number(connection.as_ref(), "downlink"), "Mbit/s");
    let battery = battery(&navigator).await;
    add(
        "battery",
        number(battery.as_ref(), "level").map(|level| (level * 100.0).round()),
        "%",
    );
    let kind = connection.and_then(|connection| get(&connection, "effectiveType")?.as_string());
    Report {
        readings,
        name: None,
        place: kind,
        every: Some(EVERY),
    }
}

/// `None` in browsers without the Battery Status API.
async fn battery(navigator: &JsValue) -> Option<JsValue> {
    let get_battery: js_sys::Function = get(navigator, "getBattery")?.dyn_into().ok()?;
    let promise: js_sys::Promise = get_battery.call0(navigator).ok()?.dyn_into().ok()?;
    JsFuture::from(promise).await.ok()
}

fn get(object: &JsValue, name: &str) -> Option<JsValue> {
    let value = js_sys::Reflect::get(object, &name.into()).ok()?;
    (!value.is_undefined() && !value.is_null()).then_some(value)
}

fn number(object: Option<&JsValue>, name: &str) -> Option<f64> {
    get(object?, name)?.as_f64().filter(|number| number.is_finite())
}
