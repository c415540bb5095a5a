//! Locates the front-end build (the `cargo leptos` site directory) and reads its file hashes.

use std::path::{Path, PathBuf};

use leptos::config::{Env, LeptosOptions};

/// The common stem of the files: the package's name.
const NAME: &str = env!("CARGO_PKG_NAME");
const PKG: &str = "pkg";
const HASH_FILE: &str = "hash.txt";
/// The marker in the style sheet after the part that the home page needs (`style/echo.css`).
const CRITICAL_CSS_END: &str = "@layer deferred";

/// The environment variables that `cargo leptos` sets for the binary.
#[derive(Debug, Default)]
pub struct LeptosEnv {
    pub site_root: Option<PathBuf>,
    pub hash_file: Option<String>,
    pub reload_port: Option<u32>,
    /// Whether file names contain no hashes; a hash file is stale then.
    pub plain_names: bool,
    /// Started by `cargo leptos watch`: the front end may be incomplete while it is rebuilt.
    pub watch: bool,
}

impl LeptosEnv {
    pub fn read() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            site_root: text("LEPTOS_SITE_ROOT").map(PathBuf::from),
            hash_file: text("LEPTOS_HASH_FILE_NAME"),
            plain_names: text("LEPTOS_HASH_FILES").as_deref() == Some("false"),
            reload_port: text("LEPTOS_RELOAD_PORT").and_then(|port| port.parse().ok()),
            watch: text("LEPTOS_WATCH").is_some(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SiteError {
    #[error("no built front end in {}; build it with `make build` or pass its directory with --site", .0.display())]
    Missing(PathBuf),
    #[error("{} does not match this build: {} is missing; build the front end again with `make build`", .hash_file.display(), .missing.display())]
    Stale { hash_file: PathBuf, missing: PathBuf },
}

/// Finds the front end. `chosen` is the directory of `--site`; `executable_dir` is this binary's directory, where `cargo leptos`
/// writes the hash file.
pub fn find(chosen: Option<&Path>, executable_dir: &Path, env: &LeptosEnv) -> Result<LeptosOptions, SiteError> {
    let root = chosen
        .or(env.site_root.as_deref())
        .map_or_else(|| default_root(executable_dir), Path::to_owned);
    let hashes = find_hash_file(&root, executable_dir, env);
    if !env.watch {
        validate(&root, hashes.as_deref())?;
    }
    let mut options = options(&root, hashes.as_deref(), env.reload_port);
    if env.watch {
        options.env = Env::DEV;
    }
    Ok(options)
}

/// Options for a front end at `root`. `hashes` is the absolute path of the hash file, if file names have hashes.
pub fn options(root: &Path, hashes: Option<&Path>, reload_port: Option<u32>) -> LeptosOptions {
    let mut options = LeptosOptions::builder()
        .output_name(NAME)
        .site_root(root.to_string_lossy())
        .site_pkg_dir(PKG)
        .env(Env::PROD)
        .build();
    if let Some(hashes) = hashes {
        options.hash_files = true;
        options.hash_file = hashes.to_string_lossy().into();
    }
    if let Some(port) = reload_port {
        options.reload_port = port;
    }
    options
}

/// The build id: the hash of the wasm module. A tab compares it with its own to detect that it is outdated.
pub fn build_id(options: &LeptosOptions) -> String {
    file_hash(options, "wasm").unwrap_or_default()
}

/// The part of the style sheet that the home page inlines. `None` if there is no style sheet, and under `cargo leptos watch`,
/// where the sheet may change at any time.
pub fn critical_css(options: &LeptosOptions) -> Option<String> {
    if options.env == Env::DEV {
        return None;
    }
    let hash = file_hash(options, "css").map_or_else(String::new, |hash| format!(".{hash}"));
    let file = Path::new(&*options.site_root)
        .join(PKG)
        .join(format!("{NAME}{hash}.css"));
    let sheet = std::fs::read_to_string(file).ok()?;
    let (first, _) = sheet.split_once(CRITICAL_CSS_END)?;
    Some(first.to_owned())
}

fn file_hash(options: &LeptosOptions, extension: &str) -> Option<String> {
    if !options.hash_files {
        return None;
    }
    let text = std::fs::read_to_string(&*options.hash_file).unwrap_or_default();
    parse_hashes(&text)
        .find(|(of, _)| *of == extension)
        .map(|(_, hash)| hash.to_owned())
}

fn default_root(executable_dir: &Path) -> PathBuf {
    let candidate = executable_dir.parent().map(|target| target.join("site"));
    candidate
        .filter(|candidate| candidate.is_dir())
        .unwrap_or_else(|| PathBuf::from("target/site"))
}

fn find_hash_file(root: &Path, executable_dir: &Path, env: &LeptosEnv) -> Option<PathBuf> {
    if env.plain_names {
        return None;
    }
    let name = env.hash_file.as_deref().unwrap_or(HASH_FILE);
    [executable_dir, root]
        .into_iter()
        .filter_map(|dir| std::path::absolute(dir.join(name)).ok())
        .find(|file| file.is_file())
}

fn validate(root: &Path, hashes: Option<&Path>) -> Result<(), SiteError> {
    let pkg = root.join(PKG);
    let Some(hash_file) = hashes else {
        let script = pkg.join(format!("{NAME}.js"));
        return if script.is_file() {
            Ok(())
        } else {
            Err(SiteError::Missing(root.to_owned()))
        };
    };
    if !pkg.is_dir() {
        return Err(SiteError::Missing(root.to_owned()));
    }
    let text = std::fs::read_to_string(hash_file).unwrap_or_default();
    match hashed_file_names(&text)
        .map(|name| pkg.join(name))
        .find(|file| !file.is_file())
    {
        Some(missing) => Err(SiteError::Stale {
            hash_file: hash_file.to_owned(),
            missing,
        }),
        None => Ok(()),
    }
}

/// Parses a hash file, whose lines are `extension: hash`.
fn parse_hashes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(extension, hash)| (extension.trim(), hash.trim()))
}

fn hashed_file_names(text: &str) -> impl Iterator<Item = String> {
    parse_hashes(text)
        .filter(|(extension, _)| ["js", "wasm", "css"].contains(extension))
        .map(|(extension, hash)| format!("{NAME}.{hash}.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const ENV: LeptosEnv = LeptosEnv {
        site_root: None,
        hash_file: None,
        plain_names: false,
        reload_port: None,
        watch: false,
    };

    fn target(hashes: &str, files: &[&str]) -> tempfile::TempDir {
        let target = tempfile::tempdir().unwrap();
        fs::create_dir_all(target.path().join("release")).unwrap();
        fs::create_dir_all(target.path().join("site/pkg")).unwrap();
        if !hashes.is_empty() {
            fs::write(target.path().join("release/hash.txt"), hashes).unwrap();
        }
        for file in files {
            fs::write(target.path().join("site/pkg").join(file), "").unwrap();
        }
        target
    }

    fn find_in(target: &tempfile::TempDir, env: &LeptosEnv) -> Result<LeptosOptions, SiteError> {
        find(None, &target.path().join("release"), env)
    }

    #[test]
    fn a_build_beside_the_binary_is_found_with_its_hashes() {
        let target = target("js: AAA\nwasm: BBB\n", &["duplex.AAA.js", "duplex.BBB.wasm"]);
        let options = find_in(&target, &ENV).unwrap();
        assert_eq!(Path::new(&*options.site_root), target.path().join("site"));
        assert!(options.hash_files);
        assert_eq!(Path::new(&*options.hash_file), target.path().join("release/hash.txt"));
    }

    #[test]
    fn a_build_without_hashes_is_found() {
        let options = find_in(&target("", &["duplex.js"]), &ENV).unwrap();
        assert!(!options.hash_files);
    }

    #[test]
    fn a_hash_file_of_an_earlier_build_is_ignored_for_plain_names() {
        let target = target(
            "js: AAA\nwasm: BBB\n",
            &["duplex.AAA.js", "duplex.BBB.wasm", "duplex.js"],
        );
        let plain = LeptosEnv {
            plain_names: true,
            ..ENV
        };
        let options = find_in(&target, &plain).unwrap();
        assert!(!options.hash_files);
        assert_eq!(build_id(&options), "");
    }

    #[test]
    fn a_stale_build_is_an_error() {
        let target = target("js: AAA\n", &["duplex.OLD.js"]);
        let error = find_in(&target, &ENV).unwrap_err();
        assert!(
            matches!(&error, SiteError::Stale { missing, .. } if missing.ends_with("pkg/duplex.AAA.js")),
            "{error}"
        );
        assert!(find_in(&target, &LeptosEnv { watch: true, ..ENV }).is_ok());
    }

    #[test]
    fn a_missing_build_is_an_error_in_one_line() {
        let error = find_in(&target("", &[]), &ENV).unwrap_err();
        assert!(matches!(error, SiteError::Missing(_)));
        assert!(!error.to_string().contains('\n'));
    }

    #[test]
    fn the_first_page_inlines_the_sheet_up_to_the_marker() {
        let target = target("css: CCC\n", &[]);
        let sheet = target.path().join("site/pkg/duplex.CCC.css");
        fs::write(&sheet, "a{}@layer deferred;b{}").unwrap();
        let options = find_in(&target, &ENV).unwrap();
        assert_eq!(critical_css(&options).as_deref(), Some("a{}"));
        let making = find_in(&target, &LeptosEnv { watch: true, ..ENV }).unwrap();
        assert_eq!(critical_css(&making), None);
        fs::write(&sheet, "a{}b{}").unwrap();
        assert_eq!(critical_css(&options), None);
        fs::remove_file(&sheet).unwrap();
        assert_eq!(critical_css(&options), None);
    }

    #[test]
    fn the_chosen_directory_takes_precedence_over_that_of_cargo_leptos() {
        let target = target("", &["duplex.js"]);
        let site = target.path().join("site");
        let env = LeptosEnv {
            site_root: Some(PathBuf::from("/nowhere")),
            ..ENV
        };
        assert!(find(Some(&site), Path::new("/"), &env).is_ok());
        assert_eq!(
            find(None, Path::new("/"), &env).err(),
            Some(SiteError::Missing(PathBuf::from("/nowhere")))
        );
    }
}
