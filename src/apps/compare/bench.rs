//! What the comparison's cards share: settings, what runs, and whose results are shown. Keeps the visitor's own in their browser.
//! Knows no markup.

use leptos::ev::hashchange;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::Storage;

use super::measure::run::{Progress, run};
use super::measure::{Stop, stale};
use super::model::Settings;
use super::share::Shared;

/// Where this browser keeps its visitor's newest results, written as in a link.
const KEPT: &str = "compare.results";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Running {
    Ways(Progress),
    /// Seconds that have passed.
    Stale(u32),
}

#[derive(Clone, Copy)]
pub struct Bench {
    pub settings: RwSignal<Settings>,
    pub running: RwSignal<Option<Running>>,
    pub shown: RwSignal<Shared>,
    /// What is shown came by a link.
    pub somebodys: RwSignal<bool>,
    /// The last run could not be made.
    pub failed: RwSignal<bool>,
    stop: StoredValue<Stop>,
}

impl Bench {
    /// Ends what it runs with the component that calls it.
    pub fn start() -> Self {
        let bench = Self {
            settings: RwSignal::new(Settings::default()),
            running: RwSignal::new(None),
            shown: RwSignal::new(Shared::default()),
            somebodys: RwSignal::new(false),
            failed: RwSignal::new(false),
            stop: StoredValue::new(Stop::default()),
        };
        Effect::new(move |_| {
            if !bench.show_link() {
                bench.show_kept();
            }
            let listener = window_event_listener(hashchange, move |_| {
                bench.show_link();
            });
            on_cleanup(move || listener.remove());
        });
        on_cleanup(move || bench.stop());
        bench
    }

    pub fn stop(&self) {
        if let Some(stop) = self.stop.try_get_value() {
            stop.stop();
        }
    }

    /// Measures all ways, if nothing runs.
    pub fn measure(&self) {
        let Some(stop) = self.begin() else { return };
        let (bench, settings) = (*self, self.settings.get_untracked().within_bounds());
        self.settings.set(settings);
        spawn_local(async move {
            let progress = move |progress| {
                bench.running.try_set(Some(Running::Ways(progress)));
            };
            let results = run(settings, stop, progress).await;
            // Stopped before anything was measured: what was shown stays.
            if results.ways.iter().any(|way| way.latency.count > 0) {
                bench.take(move |shown| shown.results = Some(results));
            } else {
                bench.failed.try_set(!results.stopped);
            }
            bench.running.try_set(None);
        });
    }

    /// Watches a changing value, if nothing runs.
    pub fn watch(&self) {
        let Some(stop) = self.begin() else { return };
        let bench = *self;
        self.running.set(Some(Running::Stale(0)));
        spawn_local(async move {
            let progress = move |seconds| {
                bench.running.try_set(Some(Running::Stale(seconds)));
            };
            match stale::run(stop, progress).await {
                Ok(staleness) if staleness.changes > 0 => bench.take(move |shown| shown.staleness = Some(staleness)),
                Ok(_) => {}
                Err(_) => {
                    bench.failed.try_set(true);
                }
            }
            bench.running.try_set(None);
        });
    }

    fn begin(&self) -> Option<Stop> {
        if self.running.with_untracked(Option::is_some) {
            return None;
        }
        let stop = Stop::default();
        self.stop.set_value(stop.clone());
        self.failed.set(false);
        Some(stop)
    }

    /// Shows and keeps something new of the visitor's own, beside what is there of their own already.
    fn take(&self, put: impl FnOnce(&mut Shared)) {
        if self.somebodys.try_get_untracked() == Some(true) {
            self.shown.try_set(Shared::default());
            let _ = window().location().set_hash("");
        }
        self.somebodys.try_set(false);
        self.shown.try_update(put);
        if let Some(kept) = self.shown.try_with_untracked(Shared::to_fragment)
            && let Some(storage) = storage()
        {
            let _ = storage.set_item(KEPT, &kept);
        }
    }

    /// The address under which anybody sees what is shown.
    pub fn link(&self) -> String {
        let origin = window().location().origin().unwrap_or_default();
        self.shown
            .with(|shown| format!("{origin}/compare#{}", shown.to_fragment()))
    }

    /// False if the address has no results.
    fn show_link(&self) -> bool {
        let fragment = window().location().hash().unwrap_or_default();
        let Some(shared) = Shared::of_fragment(&fragment) else {
            return false;
        };
        self.shown.set(shared);
        self.somebodys.set(true);
        true
    }

    fn show_kept(&self) {
        let kept = storage().and_then(|storage| storage.get_item(KEPT).ok().flatten());
        if let Some(shared) = kept.and_then(|kept| Shared::of_fragment(&kept)) {
            self.shown.set(shared);
        }
    }
}

fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}
