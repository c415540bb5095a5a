//! The frames panel: the newest frames in both directions, and the selected frame in full: its content as JSON, its bytes, and
//! its header bit by bit.

use leptos::prelude::*;

use super::{
    drawer::TraceVersion,
    frame_text::{self, HeaderPart},
    texts::header_part_text,
};
use crate::{
    i18n::*,
    ui::{
        format,
        payload_format::hex_dump,
        text::{dynamic_text, dynamic_view, t, translate},
    },
};
use duplex_leptos::trace::{Inspection, Payload, RecordedFrame};

/// Maximum number of rows shown.
const MAX_ROWS: usize = 80;
/// Maximum bytes in the hex dump.
const DUMP_BYTES: usize = 1024;
/// Maximum bytes of JSON shown; the export is not truncated.
const JSON_BYTES: usize = 8 * 1024;

#[component]
pub fn Frames(inspection: Inspection, version: TraceVersion) -> impl IntoView {
    let selected = RwSignal::new(None::<u64>);
    let shared = inspection.trace();
    let numbers = Memo::new(move |_| {
        version.track();
        shared.with(|trace| {
            trace
                .frames
                .iter()
                .rev()
                .take(MAX_ROWS)
                .map(|frame| frame.number)
                .collect::<Vec<_>>()
        })
    });
    let rows = {
        let inspection = inspection.clone();
        move |number| row(&inspection, number, selected)
    };
    let empty = dynamic_view(move || {
        let empty = numbers.with(Vec::is_empty);
        empty.then(|| view! { <p class="hint">{t!(inspector.no_frames)}</p> }.into_any())
    });
    let detail = dynamic_view(move || {
        let number = selected.get()?;
        let frame = frame(&inspection, number)?;
        Some(detail(&inspection, &frame))
    });
    view! {
        {empty}
        <ol class="inspector-frames" reversed aria-label=t!(inspector.part_frames)>
            <For each=move || numbers.get() key=|number| *number let:number>{rows(number)}</For>
        </ol>
        <div class="inspector-detail" aria-live="polite">{detail}</div>
    }
}

fn frame(inspection: &Inspection, number: u64) -> Option<RecordedFrame> {
    inspection
        .trace()
        .with(|trace| trace.frames.iter().find(|frame| frame.number == number).cloned())
}

fn row(inspection: &Inspection, number: u64, selected: RwSignal<Option<u64>>) -> AnyView {
    let Some(frame) = frame(inspection, number) else {
        return ().into_any();
    };
    let pressed = dynamic_text(move || (selected.get() == Some(number)).to_string());
    let direction = if frame.sent { "sent" } else { "received" };
    let arrow = if frame.sent { "↑" } else { "↓" };
    let direction_name = if frame.sent {
        t!(inspector.sent).into_any()
    } else {
        t!(inspector.received).into_any()
    };
    let locale = use_i18n().get_locale_untracked();
    let sizes = [
        &format::bytes(frame.size as u64),
        " / ",
        &format::bytes(frame_text::wire_size(&frame)),
    ]
    .concat();
    let select =
        move |_| selected.update(|selected| *selected = if *selected == Some(number) { None } else { Some(number) });
    view! {
        <li>
            <button type="button" data-direction=direction aria-pressed=pressed on:click=select>
                <span class="arrow" aria-hidden="true">{arrow}</span>
                <span class="visually-hidden">{direction_name}</span>
                <span class="name">{frame_text::name(inspection, &frame)}</span>
                <span class="number">{sizes}</span>
                <span class="number">{format::millis(locale, frame.at)}</span>
            </button>
        </li>
    }
    .into_any()
}

fn detail(inspection: &Inspection, frame: &RecordedFrame) -> AnyView {
    let mut json = frame_text::json(inspection, frame);
    if json.len() > JSON_BYTES {
        json.truncate(json.floor_char_boundary(JSON_BYTES));
        json.push('…');
    }
    let bytes = match &frame.content {
        Some(Payload::Text(text)) => text.as_bytes(),
        Some(Payload::Binary(bytes)) => bytes,
        None => &[],
    };
    let header = frame_text::header(frame);
    let header_list = (!header.is_empty()).then(|| {
        let line = |(part, digits): (HeaderPart, String)| view! { <div><dt class="mono">{digits}</dt><dd>{translate(header_part_text(part))}</dd></div> };
        view! { <h3>{t!(inspector.header)}</h3><dl class="inspector-definitions">{header.into_iter().map(line).collect_view()}</dl> }
    });
    view! {
        <h3>{frame_text::name(inspection, frame)}</h3>
        <pre tabindex="0" data-key="json">{json}</pre>
        {header_list}
        <h3>{t!(inspector.payload)}</h3>
        <pre tabindex="0" data-key="bytes">{hex_dump(bytes, DUMP_BYTES)}</pre>
    }
    .into_any()
}
