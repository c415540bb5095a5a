//! This browser as a device, if its visitor wants that: what it knows of its battery and its network. Acts only in the browser.

use std::time::Duration;

use leptos::{leptos_dom::helpers::IntervalHandle, prelude::*, task::spawn_local};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::super::wire::{DeviceCommand, Devices, Fleet, Raw, Reading, Report, browser_id, device_path};
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
    let on = RwSignal::new(false);
    let id = Memo::new(move |_| fleet.me.with(|me| me.as_ref().map(|me| browser_id(&me.id))));
    let said = dynamic_text(move || {
        let locale = i18n.get_locale();
        if on.get() {
            td_string!(locale, devices.browser_stop)
        } else {
            td_string!(locale, devices.browser_start)
        }
        .to_owned()
    });
    let reporter = dynamic_view(move || on.get().then(|| id.get().map(reporter)).flatten());
    let pressed = dynamic_text(move || on.get().to_string());
    view! {
        <section class="card this-browser script" aria-labelledby="this-browser-title">
            <h2 id="this-browser-title">{t!(devices.browser)}</h2>
            <p class="hint">{t!(devices.browser_text)}</p>
            <div class="row">
                <button type="button" class="button" aria-pressed=pressed on:click=move |_| on.update(|on| *on = !*on)>{said}</button>
                {reporter}
            </div>
        </section>
    }
    .into_any()
}

/// Reports while it stands.
fn reporter(id: String) -> AnyView {
    let device = use_topic::<Devices>(&id);
    let link = use_session_status();
    Effect::new(move |_| {
        let tell = move || {
            let status = link.get_untracked();
            // What cannot be sent now would come with a wrong time.
            if status.phase == Phase::Live {
                spawn_local(async move {
                    let report = measure(&status).await;
                    device.send(DeviceCommand::Report(report));
                });
            }
        };
        tell();
        let timer = set_interval_with_handle(tell, Duration::from_secs(EVERY.into())).ok();
        on_cleanup(move || {
            timer.as_ref().map(IntervalHandle::clear);
        });
    });
    view! { <a class="button" href=device_path(&id)>{t!(devices.browser_page)}</a> }.into_any()
}

async fn measure(link: &SessionStatus) -> Report {
    let navigator: JsValue = window().navigator().into();
    let mut readings = Vec::new();
    let mut add = |metric: &str, value: Option<f64>, unit: &str| {
        if let Some(value) = value {
            readings.push(Reading {
                metric: metric.to_owned(),
                value: Raw(value),
                unit: Some(unit.to_owned()),
                at: None,
            });
        }
    };
    add("round_trip", link.round_trip, "ms");
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

/// Not every browser tells.
async fn battery(navigator: &JsValue) -> Option<JsValue> {
    let ask: js_sys::Function = get(navigator, "getBattery")?.dyn_into().ok()?;
    let told: js_sys::Promise = ask.call0(navigator).ok()?.dyn_into().ok()?;
    JsFuture::from(told).await.ok()
}

fn get(of: &JsValue, name: &str) -> Option<JsValue> {
    let value = js_sys::Reflect::get(of, &name.into()).ok()?;
    (!value.is_undefined() && !value.is_null()).then_some(value)
}

fn number(of: Option<&JsValue>, name: &str) -> Option<f64> {
    get(of?, name)?.as_f64().filter(|number| number.is_finite())
}
