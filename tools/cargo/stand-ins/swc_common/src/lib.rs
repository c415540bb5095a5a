//! Stand-in for swc_common: see `../swc`.
use std::sync::Arc;

pub enum FileName {
    Anon,
}

#[derive(Default)]
pub struct SourceMap;

pub struct SourceFile(pub String);

impl SourceMap {
    pub fn new_source_file(&self, _: Arc<FileName>, src: String) -> Arc<SourceFile> {
        Arc::new(SourceFile(src))
    }
}

#[derive(Default)]
pub struct Globals;

pub struct GlobalsKey;

pub static GLOBALS: GlobalsKey = GlobalsKey;

impl GlobalsKey {
    pub fn set<T>(&self, _: &Globals, run: impl FnOnce() -> T) -> T {
        run()
    }
}
