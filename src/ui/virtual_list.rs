//! A virtual list: only the visible rows are in the document. Scrolls to new rows while its end is visible.

use std::sync::Arc;

use leptos::{ev::KeyboardEvent, html, prelude::*};
use web_sys::HtmlElement;

use super::keys;
use super::text::{TextKey, dynamic_text, translate};

/// Pixels; the same as in the style sheet.
pub const ROW_HEIGHT: usize = 30;
/// Rows rendered above and below the visible ones, so that scrolling shows no blank.
const OVERSCAN: usize = 8;
/// The assumed height of the list in pixels before it is measured.
const INITIAL_HEIGHT: i32 = 420;

/// A row: an id that never changes, and its cells.
pub type Row = (u64, AnyView);

/// A listbox of rows: a click, the arrow keys, Page Up, Page Down, Home and End select a row.
#[component]
pub fn VirtualList(
    label: TextKey,
    /// The number of rows.
    #[prop(into)]
    len: Signal<usize>,
    /// The id of the row at an index.
    id_at: impl Fn(usize) -> Option<u64> + Send + Sync + 'static,
    /// The cells of the row with an id.
    cells: impl Fn(u64) -> AnyView + Clone + Send + Sync + 'static,
    /// Incremented with every change of the rows, because their number may stay the same.
    #[prop(into)]
    version: Signal<u32>,
    selected: RwSignal<Option<u64>>,
) -> impl IntoView {
    let id_at = Arc::new(id_at);
    let viewport = Viewport::new(len);
    let ids = Memo::new({
        let id_at = id_at.clone();
        move |_| {
            version.track();
            let (first, last) = viewport.rendered_range();
            (first..last).filter_map(|index| id_at(index)).collect::<Vec<_>>()
        }
    });
    let on_key = move |event: KeyboardEvent| {
        let current = selected
            .get_untracked()
            .and_then(|id| (0..len.get_untracked()).find(|&index| id_at(index) == Some(id)));
        let Some(key) = keys::key(&event) else { return };
        if let Some(index) = select_by_key(&key, current, len.get_untracked(), viewport.visible_rows()) {
            event.prevent_default();
            selected.set(id_at(index));
            viewport.scroll_into_view(index);
        }
    };
    view! {
        <div
            class="virtual-list"
            data-scrollable=dynamic_text(move || viewport.is_scrollable().to_string())
            role="listbox"
            tabindex="0"
            aria-label=translate(label)
            aria-activedescendant=move || selected.get().map(row_id)
            node_ref=viewport.view
            on:scroll=move |_| viewport.on_scroll()
            on:keydown=on_key
        >
            <div class="virtual-list-spacer" role="presentation" node_ref=viewport.spacer>
                <div class="virtual-list-window" role="presentation" node_ref=viewport.rendered>
                    <For each=move || ids.get() key=|id| *id let:id>
                        <div
                            class="virtual-list-row"
                            role="option"
                            id=row_id(id)
                            aria-selected=dynamic_text(move || (selected.get() == Some(id)).to_string())
                            on:click=move |_| selected.set(Some(id))
                        >
                            {cells(id)}
                        </div>
                    </For>
                </div>
            </div>
        </div>
    }
}

fn row_id(id: u64) -> String {
    format!("row-{id}")
}

/// The row that a key selects, starting at `current` of `len` rows.
fn select_by_key(key: &str, current: Option<usize>, len: usize, page: usize) -> Option<usize> {
    let last = len.checked_sub(1)?;
    let from = current.unwrap_or(last);
    Some(match key {
        "ArrowDown" => current.map_or(last, |index| (index + 1).min(last)),
        "ArrowUp" => current.map_or(last, |index| index.saturating_sub(1)),
        "PageDown" => (from + page).min(last),
        "PageUp" => from.saturating_sub(page),
        "Home" => 0,
        "End" => last,
        _ => return None,
    })
}

/// The visible rows. Sizes are set through the elements' style objects, because the Content-Security-Policy forbids `style`
/// attributes.
#[derive(Clone, Copy)]
struct Viewport {
    len: Signal<usize>,
    scroll_top: RwSignal<i32>,
    height: RwSignal<i32>,
    /// The end is visible, so the list scrolls to new rows.
    at_end: StoredValue<bool>,
    view: NodeRef<html::Div>,
    spacer: NodeRef<html::Div>,
    rendered: NodeRef<html::Div>,
}

impl Viewport {
    fn new(len: Signal<usize>) -> Self {
        let this = Self {
            len,
            scroll_top: RwSignal::new(0),
            height: RwSignal::new(INITIAL_HEIGHT),
            at_end: StoredValue::new(true),
            view: NodeRef::new(),
            spacer: NodeRef::new(),
            rendered: NodeRef::new(),
        };
        Effect::new(move |_| this.update_layout());
        this
    }

    fn rendered_range(&self) -> (usize, usize) {
        let len = self.len.get();
        let first = (self.scroll_top.get().max(0) as usize / ROW_HEIGHT)
            .saturating_sub(OVERSCAN)
            .min(len);
        let count = self.height.get().max(0) as usize / ROW_HEIGHT + 1 + 2 * OVERSCAN;
        (first, (first + count).min(len))
    }

    fn visible_rows(&self) -> usize {
        (self.height.get_untracked().max(0) as usize / ROW_HEIGHT).max(1)
    }

    fn is_scrollable(&self) -> bool {
        (self.len.get() * ROW_HEIGHT) as i32 > self.height.get()
    }

    fn update_layout(&self) {
        let (first, _) = self.rendered_range();
        let (Some(view), Some(spacer), Some(rendered)) = (self.view.get(), self.spacer.get(), self.rendered.get())
        else {
            return;
        };
        set_pixels(&spacer, "height", self.len.get() * ROW_HEIGHT);
        set_pixels(&rendered, "top", first * ROW_HEIGHT);
        set_if_changed(self.height, view.client_height());
        if self.at_end.get_value() {
            view.set_scroll_top(view.scroll_height());
        }
    }

    fn on_scroll(&self) {
        let Some(view) = self.view.get_untracked() else { return };
        let below = view.scroll_height() - view.scroll_top() - view.client_height();
        self.at_end.set_value(below <= ROW_HEIGHT as i32);
        set_if_changed(self.scroll_top, view.scroll_top());
        set_if_changed(self.height, view.client_height());
    }

    fn scroll_into_view(&self, index: usize) {
        let Some(view) = self.view.get_untracked() else { return };
        let (top, bottom) = ((index * ROW_HEIGHT) as i32, ((index + 1) * ROW_HEIGHT) as i32);
        if top < view.scroll_top() {
            view.set_scroll_top(top);
        } else if bottom > view.scroll_top() + view.client_height() {
            view.set_scroll_top(bottom - view.client_height());
        }
    }
}

/// The layout effect both reads and sets these signals, so only a change may run it again.
fn set_if_changed(signal: RwSignal<i32>, value: i32) {
    if signal.get_untracked() != value {
        signal.set(value);
    }
}

fn set_pixels(element: &HtmlElement, property: &str, pixels: usize) {
    let _ = element.style().set_property(property, &format!("{pixels}px"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_select_rows_within_the_list() {
        assert_eq!(select_by_key("ArrowDown", Some(4), 5, 3), Some(4));
        assert_eq!(select_by_key("ArrowUp", Some(0), 5, 3), Some(0));
        assert_eq!(select_by_key("PageUp", Some(4), 5, 3), Some(1));
        assert_eq!(select_by_key("PageDown", Some(0), 5, 3), Some(3));
        assert_eq!(select_by_key("Home", None, 5, 3), Some(0));
        assert_eq!(select_by_key("ArrowDown", None, 5, 3), Some(4));
        assert_eq!(select_by_key("End", None, 0, 3), None);
        assert_eq!(select_by_key("a", Some(1), 5, 3), None);
    }
}
