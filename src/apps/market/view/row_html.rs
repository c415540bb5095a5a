//! Server-side HTML of a symbol's row, rendered without signals: byte for byte the output of [`row`](super::row), at a tenth of the
//! CPU time.

use std::fmt::Write as _;

use super::super::{
    drawing, sort,
    wire::{Entry, symbol_path},
};
use super::labels;
use crate::{
    i18n::*,
    ui::{
        escape::{attribute, text_node},
        text::fill,
    },
};

pub fn row_html(locale: Locale, entry: &Entry) -> String {
    let listing = &entry.listing;
    let (symbol, path) = (attribute(&listing.symbol), attribute(&symbol_path(&listing.symbol)));
    let (name, code) = (labels::name(locale, listing), labels::code(listing));
    let watch = fill(td_string!(locale, market.watch), &[("name", &name)]);
    let change = sort::change(entry);
    let (direction, arrow) = (labels::direction(change), labels::arrow(change));
    let mut html = String::with_capacity(1_500);
    // Writing to a string cannot fail.
    let _ = write!(
        html,
        "<tr data-symbol=\"{symbol}\" data-stale=\"{stale}\">\
         <td class=\"cell-star\"><button type=\"button\" aria-label=\"{watch}\" aria-pressed=\"false\" class=\"star script-only\">☆<!></button><!></td>\
         <th scope=\"row\" class=\"cell-name\"><a href=\"{path}\">{name}<!></a><span class=\"code mono\">{code}<!></span>\
         <span class=\"stale-badge\">{stale_mark}<!></span><!><!></th>\
         <td class=\"cell-last number\"><span class=\"price\">{price}<!></span><!></td>\
         <td class=\"cell-change number\"><span data-direction=\"{direction}\" class=\"change\"><span aria-hidden=\"true\" class=\"arrow\">{arrow}<!></span>\
         {percent}<!><!></span><span class=\"difference\">{difference}<!></span><!><!></td>\
         <td class=\"cell-volume number\">{volume}<!></td>\
         <td class=\"cell-spark\"><svg viewBox=\"0 0 96 28\" preserveAspectRatio=\"none\" aria-hidden=\"true\" data-direction=\"{trend}\" class=\"spark\">\
         <polyline points=\"{points}\" vector-effect=\"non-scaling-stroke\"></polyline><!></svg><!></td><!><!></tr>",
        stale = entry.tick.stale,
        watch = attribute(&watch),
        name = text_node(&name),
        code = text_node(&code),
        stale_mark = td_string!(locale, market.old),
        price = labels::price(listing, entry.tick.last),
        percent = labels::change(change),
        difference = text_node(&labels::difference(entry)),
        volume = labels::volume(listing, entry.tick.volume),
        trend = drawing::trend(&entry.spark),
        points = drawing::spark(&entry.spark),
    );
    html
}
