//! The market's pages: the overview of all symbols, and the detail page of one.

mod alerts;
mod candles;
pub mod detail;
mod feed_status;
mod labels;
pub mod overview;
mod price;
mod quote_store;
mod row;
mod row_html;
mod storage;
mod times;
mod trades;
