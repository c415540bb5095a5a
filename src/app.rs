//! The app shell: the HTML document of every page, and the router. Knows no application by name.

use std::sync::{Arc, LazyLock};

use leptos::prelude::*;
use leptos_meta::{HashedStylesheet, MetaTags, Title, provide_meta_context};
use leptos_router::components::{A, FlatRoutes, Router};

use crate::{
    apps::{Pages, navigation, skip_links, tools},
    i18n::*,
    ui::{
        home_page,
        island::IslandHandle,
        layout::Layout,
        operator::{self, Operator},
        permissions::Permissions,
        raw_text::raw_text,
        text::{page_title, t},
    },
};
use duplex_leptos::provide_session;

/// The id of the served front-end build; provided as context when a page is rendered.
#[derive(Clone)]
pub struct BuildId(pub Arc<str>);

/// The path of `hydration.js`; provided as context when a page is rendered.
#[derive(Clone)]
pub struct HydrationScript(pub Arc<str>);

/// The style sheet and script that a page inlines, so that it does not wait for the shared ones; provided as context.
#[derive(Clone)]
pub struct InlineAssets {
    /// `None` if the shared style sheet is render-blocking.
    pub style: Option<Arc<str>>,
    /// Runs before anything else.
    pub script: &'static str,
}

/// Runs before everything else; keeps input that arrives before the page is hydrated.
const PAGE_SCRIPT: &str = include_str!("page.js");

/// Retries failed downloads of wasm chunks, which Leptos gives up on. A chunk that answers 404 belongs to an older build, so the
/// page reloads. Runs before the module, and is placed before the style sheet, because a script waits for the style sheets before
/// it.
const CHUNKS_SCRIPT: &str = include_str!("chunks.js");

/// The HTML that the server sends.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    let build = use_context::<BuildId>().map(|BuildId(build)| build.to_string());
    let permissions = Permissions::current();
    let inline = use_context::<InlineAssets>();
    let hydration = use_context::<HydrationScript>().map(|HydrationScript(path)| path.to_string());
    let script = inline.as_ref().map(|inline| inline.script);
    let style = inline.and_then(|inline| inline.style).map(|style| style.to_string());
    let stylesheet_deferred = style.is_some();
    view! {
        <!DOCTYPE html>
        <html lang=use_i18n().get_locale_untracked().as_str()>
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <link rel="icon" href="/favicon.svg" type="image/svg+xml"/>
                <meta name="duplex-build" content=build/>
                {use_context::<Operator>().map(|_| view! { <meta name=operator::META content="1"/> })}
                <meta name="duplex-permits" content=permissions.as_str()/>
                {script.map(|script| view! { <script nonce=use_nonce() inner_html=script></script> })}
                <script nonce=use_nonce() inner_html=page_script()></script>
                {hydration.map(|path| view! { <script id="hydration" nonce=use_nonce() defer src=path></script> })}
                <script nonce=use_nonce() inner_html=CHUNKS_SCRIPT></script>
                {style.map(|style| view! { <style nonce=use_nonce() inner_html=style></style> })}
                <HashedStylesheet options=options.clone() attr:disabled=stylesheet_deferred/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options/>
                <MetaTags/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

fn page_script() -> &'static str {
    static SCRIPT: LazyLock<String> = LazyLock::new(|| strip_whitespace_and_comments(PAGE_SCRIPT));
    &SCRIPT
}

/// Removes a script's comment lines, blank lines and indentation.
pub fn strip_whitespace_and_comments(script: &str) -> String {
    let lines = script.lines().map(str::trim_start);
    let code = lines.filter(|line| !line.starts_with("//") && !line.is_empty());
    code.collect::<Vec<_>>().join("\n")
}

#[component]
pub fn App() -> impl IntoView {
    provide_meta_context();
    provide_session();
    provide_language();
    view! {
        // Escaped on every page: a title may contain a visitor's text.
        <Title formatter=|title: String| raw_text(format!("{title} · Duplex"))/>
        <Router>
            <Layout navigation=navigation() skip_links=skip_links() tools>
                <FlatRoutes fallback=NotFound>
                    <Pages/>
                </FlatRoutes>
            </Layout>
        </Router>
    }
}

/// Provides the language: the server's rendering has one; in the browser it is the island's, or else the document's.
fn provide_language() {
    if use_context::<LocaleSignal>().is_none() && !is_server() {
        let island = use_context::<IslandHandle>().map(|island| island.language);
        provide_context(island.unwrap_or_else(LocaleSignal::of_document));
    }
}

#[component]
fn NotFound() -> impl IntoView {
    view! {
        <Title text=page_title(t!(app.not_found))/>
        <div class="page-header">
            <h1>{t!(app.not_found)}</h1>
            <p class="lede">{t!(app.not_found_text)}</p>
            <p><A href="/" attr:class="button" attr:rel=home_page::rel("/")>{t!(app.home)}</A></p>
        </div>
    }
}
