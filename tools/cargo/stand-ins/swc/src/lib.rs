//! Stand-in for swc, some 200 crates with which cargo-leptos minifies one JavaScript file.
//! It runs esbuild instead, which `tools/setup.sh` puts on PATH.
use anyhow::{Context, Error, Result, ensure};
use config::JsMinifyOptions;
use std::{
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
};
use swc_common::{SourceFile, SourceMap};

pub mod config {
    use super::BoolOrDataConfig;

    pub enum IsModule {
        Bool(bool),
    }

    impl Default for IsModule {
        fn default() -> Self {
            Self::Bool(true)
        }
    }

    #[derive(Default)]
    pub struct JsMinifyOptions {
        pub compress: BoolOrDataConfig,
        pub mangle: BoolOrDataConfig,
        pub module: IsModule,
        pub rest: (),
    }
}

#[derive(Default)]
pub struct BoolOrDataConfig;

impl BoolOrDataConfig {
    pub fn from_bool(_: bool) -> Self {
        Self
    }
}

#[derive(Default)]
pub struct JsMinifyExtras;

#[derive(Default)]
pub struct HandlerOpts;

pub struct Handler;

pub struct Failure(Error);

impl Failure {
    pub fn to_pretty_error(self) -> Error {
        self.0
    }
}

pub fn try_with_handler<T>(
    _: Arc<SourceMap>,
    _: HandlerOpts,
    run: impl FnOnce(&Handler) -> Result<T>,
) -> Result<T, Failure> {
    run(&Handler).map_err(Failure)
}

pub struct Compiler;

pub struct TransformOutput {
    pub code: String,
}

impl Compiler {
    pub fn new(_: Arc<SourceMap>) -> Self {
        Self
    }

    pub fn minify(
        &self,
        source: Arc<SourceFile>,
        _: &Handler,
        _: &JsMinifyOptions,
        _: JsMinifyExtras,
    ) -> Result<TransformOutput> {
        let mut esbuild = Command::new("esbuild")
            .args([
                "--minify",
                "--format=esm",
                "--legal-comments=none",
                "--log-level=warning",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("esbuild is not on PATH: run `make setup`")?;
        let mut stdin = esbuild.stdin.take().context("esbuild has no stdin")?;
        // esbuild reads all of its input before it writes.
        stdin.write_all(source.0.as_bytes())?;
        drop(stdin);
        let output = esbuild.wait_with_output()?;
        ensure!(output.status.success(), "esbuild: {}", output.status);
        Ok(TransformOutput {
            code: String::from_utf8(output.stdout)?,
        })
    }
}
