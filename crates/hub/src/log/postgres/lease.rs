//! Leases: rows with an end by the server's clock.

use std::time::Duration;

use super::connect::Connection;
use super::error::Failure;

const LEASE: &str = "
    INSERT INTO duplex.leases AS held (name, holder, until) VALUES ($1, $2, now() + $3::bigint * interval '1 millisecond')
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE held.holder = excluded.holder OR held.until <= now()";

const END: &str = "DELETE FROM duplex.leases WHERE name = $1 AND holder = $2";

/// See [`Log::lease`](crate::log::Log::lease).
pub(super) async fn lease(
    connection: &mut Connection,
    name: &str,
    holder: u64,
    duration: Duration,
) -> Result<bool, Failure> {
    let statement = connection.prepare(LEASE).await?;
    let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let rows = connection
        .client
        .execute(&statement, &[&name, &holder.cast_signed(), &millis])
        .await?;
    Ok(rows > 0)
}

/// See [`Log::end_lease`](crate::log::Log::end_lease).
pub(super) async fn end(connection: &mut Connection, name: &str, holder: u64) -> Result<(), Failure> {
    let statement = connection.prepare(END).await?;
    connection
        .client
        .execute(&statement, &[&name, &holder.cast_signed()])
        .await?;
    Ok(())
}
