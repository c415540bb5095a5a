//! Duplex: a real-time web app in one binary. The server's half is the feature `ssr`, the browser's is `hydrate`.

pub mod app;
pub mod apps;
pub mod client;
#[cfg(feature = "ssr")]
pub mod server;
pub mod ui;
pub mod wire;

mod texts {
    #![expect(
        deprecated,
        reason = "the generator for build scripts brings ICU's data exporter, of which no text here has need"
    )]
    leptos_i18n::load_locales!();
}
pub use texts::i18n;
