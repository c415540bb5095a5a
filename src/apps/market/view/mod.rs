//! The market's pages: all symbols, and one of them.

mod alerts;
mod candles;
pub mod detail;
mod feed_status;
mod floor;
pub mod overview;
mod price;
mod row;
mod row_html;
mod storage;
mod times;
mod trades;
mod words;
