//! Stand-in for cargo-generate, which only `cargo leptos new` uses.
use std::path::PathBuf;

#[derive(Default)]
pub struct TemplatePath {
    pub git: Option<String>,
    pub branch: Option<String>,
    pub tag: Option<String>,
    pub path: Option<String>,
}

#[derive(Default)]
pub struct GenerateArgs {
    pub template_path: TemplatePath,
    pub name: Option<String>,
    pub force: bool,
    pub verbose: bool,
    pub init: bool,
}

pub fn generate(_: GenerateArgs) -> anyhow::Result<PathBuf> {
    anyhow::bail!("this build of cargo-leptos has no `new`")
}
