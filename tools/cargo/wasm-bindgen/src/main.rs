//! `wasm-bindgen`: a command line with only the options that cargo-leptos passes.

use clap::{Parser, ValueEnum};
use std::path::PathBuf;
use wasm_bindgen_cli_support::Bindgen;

#[derive(Parser)]
#[command(name = "wasm-bindgen", version)]
struct Args {
    input: PathBuf,
    #[arg(long)]
    target: Target,
    #[arg(long)]
    out_dir: PathBuf,
    #[arg(long)]
    out_name: String,
    #[arg(long)]
    keep_lld_exports: bool,
    #[arg(long)]
    no_demangle: bool,
    #[arg(long)]
    debug: bool,
    #[arg(long)]
    keep_debug: bool,
}

#[derive(Clone, ValueEnum)]
enum Target {
    Web,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let Target::Web = args.target;
    Bindgen::new()
        .web(true)?
        .input_path(args.input)
        .out_name(&args.out_name)
        .keep_lld_exports(args.keep_lld_exports)
        .demangle(!args.no_demangle)
        .debug(args.debug)
        .keep_debug(args.keep_debug)
        .generate(args.out_dir)
}
