//! Where the password of a database comes from.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::config::PostgresConfig;

impl PostgresConfig {
    /// Sets the password as PostgreSQL's own programs do, unless the URL contains one: from the environment variable `PGPASSWORD`,
    /// or from the file `PGPASSFILE` or `~/.pgpass`, which only its owner may read. Blocks.
    #[must_use]
    pub fn with_password_of_user(self) -> Self {
        let variable = std::env::var("PGPASSWORD").ok();
        self.with_password(variable.as_deref(), read_password_file().as_deref())
    }
}

fn read_password_file() -> Option<String> {
    let file = match std::env::var_os("PGPASSFILE") {
        Some(file) => PathBuf::from(file),
        None => PathBuf::from(std::env::var_os("HOME")?).join(".pgpass"),
    };
    let mode = fs::metadata(&file).ok()?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(
            "{} is ignored: other users may access it; run chmod 600",
            file.display()
        );
        return None;
    }
    fs::read_to_string(file).ok()
}
