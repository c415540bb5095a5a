//! `Comparison`: the state that the page's cards share: settings, the current run, and the shown results. The visitor's own results
//! are kept in local storage. No markup.

use leptos::ev::hashchange;
use leptos::prelude::*;
use leptos::task::spawn_local;
use web_sys::Storage;

use super::measure::run::{Progress, run};
use super::measure::{StopFlag, staleness};
use super::model::Settings;
use super::shared_results::SharedResults;

/// The storage key of the visitor's latest results, encoded as in a link.
const STORAGE_KEY: &str = "compare.results";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunProgress {
    Transports(Progress),
    /// Seconds elapsed.
    Staleness(u32),
}

#[derive(Clone, Copy)]
pub struct Comparison {
    pub settings: RwSignal<Settings>,
    pub running: RwSignal<Option<RunProgress>>,
    pub results: RwSignal<SharedResults>,
    /// The shown results come from a link.
    pub is_from_link: RwSignal<bool>,
    /// The last run failed.
    pub failed: RwSignal<bool>,
    stop: StoredValue<StopFlag>,
}

impl Comparison {
    /// Creates the state. A run is stopped when the calling component is unmounted.
    pub fn start() -> Self {
        let comparison = Self {
            settings: RwSignal::new(Settings::default()),
            running: RwSignal::new(None),
            results: RwSignal::new(SharedResults::default()),
            is_from_link: RwSignal::new(false),
            failed: RwSignal::new(false),
            stop: StoredValue::new(StopFlag::default()),
        };
        Effect::new(move |_| {
            if !comparison.load_link() {
                comparison.load_stored();
            }
            let listener = window_event_listener(hashchange, move |_| {
                comparison.load_link();
            });
            on_cleanup(move || listener.remove());
        });
        on_cleanup(move || comparison.stop());
        comparison
    }

    pub fn stop(&self) {
        if let Some(stop) = self.stop.try_get_value() {
            stop.stop();
        }
    }

    /// Measures all transports, unless a run is in progress.
    pub fn measure_transports(&self) {
        let Some(stop) = self.begin() else { return };
        let (comparison, settings) = (*self, self.settings.get_untracked().clamped());
        self.settings.set(settings);
        spawn_local(async move {
            let progress = move |progress| {
                comparison.running.try_set(Some(RunProgress::Transports(progress)));
            };
            let results = run(settings, stop, progress).await;
            // Keep the previous results if nothing was measured.
            if results.transports.iter().any(|transport| transport.latency.count > 0) {
                comparison.save_results(move |shared| shared.results = Some(results));
            } else {
                comparison.failed.try_set(!results.stopped);
            }
            comparison.running.try_set(None);
        });
    }

    /// Measures staleness, unless a run is in progress.
    pub fn measure_staleness(&self) {
        let Some(stop) = self.begin() else { return };
        let comparison = *self;
        self.running.set(Some(RunProgress::Staleness(0)));
        spawn_local(async move {
            let progress = move |seconds| {
                comparison.running.try_set(Some(RunProgress::Staleness(seconds)));
            };
            match staleness::run(stop, progress).await {
                Ok(staleness) if staleness.changes > 0 => {
                    comparison.save_results(move |shared| shared.staleness = Some(staleness))
                }
                Ok(_) => {}
                Err(_) => {
                    comparison.failed.try_set(true);
                }
            }
            comparison.running.try_set(None);
        });
    }

    fn begin(&self) -> Option<StopFlag> {
        if self.running.with_untracked(Option::is_some) {
            return None;
        }
        let stop = StopFlag::default();
        self.stop.set_value(stop.clone());
        self.failed.set(false);
        Some(stop)
    }

    /// Merges new results into the visitor's earlier ones, then shows and stores them. Results loaded from a link are replaced.
    fn save_results(&self, update: impl FnOnce(&mut SharedResults)) {
        if self.is_from_link.try_get_untracked() == Some(true) {
            self.results.try_set(SharedResults::default());
            let _ = window().location().set_hash("");
        }
        self.is_from_link.try_set(false);
        self.results.try_update(update);
        if let Some(stored) = self.results.try_with_untracked(SharedResults::to_fragment)
            && let Some(storage) = storage()
        {
            let _ = storage.set_item(STORAGE_KEY, &stored);
        }
    }

    /// A link to the shown results.
    pub fn link(&self) -> String {
        let origin = window().location().origin().unwrap_or_default();
        self.results
            .with(|shared| format!("{origin}/compare#{}", shared.to_fragment()))
    }

    /// Loads the results of the URL fragment; false if it has none.
    fn load_link(&self) -> bool {
        let fragment = window().location().hash().unwrap_or_default();
        let Some(shared) = SharedResults::from_fragment(&fragment) else {
            return false;
        };
        self.results.set(shared);
        self.is_from_link.set(true);
        true
    }

    fn load_stored(&self) {
        let stored = storage().and_then(|storage| storage.get_item(STORAGE_KEY).ok().flatten());
        if let Some(shared) = stored.and_then(|stored| SharedResults::from_fragment(&stored)) {
            self.results.set(shared);
        }
    }
}

fn storage() -> Option<Storage> {
    window().local_storage().ok().flatten()
}
