//! The HTML document and the root component.

use duplex_leptos::provide_session;
use leptos::prelude::*;

use crate::page::TallyPage;

/// The document that the server sends.
pub fn shell(options: LeptosOptions) -> impl IntoView {
    view! {
        <!DOCTYPE html>
        <html lang="en">
            <head>
                <meta charset="utf-8"/>
                <meta name="viewport" content="width=device-width, initial-scale=1"/>
                <meta name="color-scheme" content="light dark"/>
                <title>"Tally"</title>
                <link rel="icon" href="data:,"/>
                <link rel="stylesheet" href="/pkg/tally.css"/>
                <AutoReload options=options.clone()/>
                <HydrationScripts options/>
            </head>
            <body>
                <App/>
            </body>
        </html>
    }
}

/// The root component. It provides the tab's session, which all topics share.
#[component]
pub fn App() -> impl IntoView {
    provide_session();
    view! { <TallyPage/> }
}
