//! The lists of a frame: bodies, motes and the board, each told as what changed since the list that the viewer has.

use std::sync::Arc;

use super::MAX_NAME_BYTES;
use super::bytes::{Garbled, Reader, Writer};
use super::frame::{MAX_BOARD, Row, Seen};
use crate::apps::arena::model::body::HEAVIEST;
use crate::apps::arena::model::world::{MAX_BODIES, MAX_MOTES, Mote};

// What stands in the byte before a body's news.
const GONE: u8 = 1;
const NEW: u8 = 2;
const MOVED: u8 = 4;
const GREW: u8 = 8;
const FLAGS: u8 = 16;

/// What is to be said of two lists in the order of their ids: each id with what there was and what there is.
fn changes<'a, T: PartialEq>(
    now: &'a [T],
    before: &'a [T],
    id: fn(&T) -> u16,
) -> Vec<(u16, Option<&'a T>, Option<&'a T>)> {
    let (mut now, mut before) = (now.iter().peekable(), before.iter().peekable());
    let mut found = Vec::new();
    loop {
        let next = match (now.peek(), before.peek()) {
            (None, None) => return found,
            (Some(now), None) => id(now),
            (None, Some(before)) => id(before),
            (Some(now), Some(before)) => id(now).min(id(before)),
        };
        let is_next = |item: &&T| id(item) == next;
        let (is, was) = (now.next_if(is_next), before.next_if(is_next));
        if is != was {
            found.push((next, was, is));
        }
    }
}

/// Ids ascend: the distance from the one before is short.
fn encode_id(id: u16, last: &mut u16, to: &mut Writer) {
    to.number(id.wrapping_sub(*last).into());
    *last = id;
}

fn decode_id(last: &mut Option<u16>, from: &mut Reader) -> Result<u16, Garbled> {
    let step = from.small()?;
    let id = match *last {
        None => step,
        Some(last) if step > 0 => last.checked_add(step).ok_or(Garbled)?,
        Some(_) => return Err(Garbled),
    };
    *last = Some(id);
    Ok(id)
}

pub fn encode_bodies(now: &[Seen], before: &[Seen], to: &mut Writer) {
    let changes = changes(now, before, |seen| seen.id);
    to.number(changes.len() as u32);
    let mut last = 0;
    for (id, was, is) in changes {
        encode_id(id, &mut last, to);
        match (was, is) {
            (_, None) => to.byte(GONE),
            (Some(was), Some(is)) if was.name == is.name => encode_moved(was, is, to),
            (_, Some(is)) => {
                to.byte(NEW);
                to.text(&is.name);
                to.pair(is.x);
                to.pair(is.y);
                to.number(is.mass);
                to.byte(is.flags);
            }
        }
    }
}

fn encode_moved(was: &Seen, is: &Seen, to: &mut Writer) {
    let flag = |so: bool, flag: u8| if so { flag } else { 0 };
    let (moved, grew, flags) = (
        (was.x, was.y) != (is.x, is.y),
        was.mass != is.mass,
        was.flags != is.flags,
    );
    to.byte(flag(moved, MOVED) | flag(grew, GREW) | flag(flags, FLAGS));
    if moved {
        to.signed(i32::from(is.x) - i32::from(was.x));
        to.signed(i32::from(is.y) - i32::from(was.y));
    }
    if grew {
        to.signed(is.mass.wrapping_sub(was.mass) as i32);
    }
    if flags {
        to.byte(is.flags);
    }
}

pub fn decode_bodies(before: &[Seen], from: &mut Reader) -> Result<Vec<Seen>, Garbled> {
    let count = from.count(2 * MAX_BODIES)?;
    let (mut news, mut last) = (Vec::with_capacity(count), None);
    for _ in 0..count {
        let id = decode_id(&mut last, from)?;
        let was = || {
            before
                .binary_search_by_key(&id, |seen| seen.id)
                .ok()
                .and_then(|at| before.get(at))
        };
        let is = match from.byte()? {
            GONE => None,
            NEW => Some(decode_new(id, from)?),
            parts => Some(decode_moved(was().ok_or(Garbled)?, parts, from)?),
        };
        news.push((id, is));
    }
    merged(before, news, |seen| seen.id, MAX_BODIES)
}

fn decode_new(id: u16, from: &mut Reader) -> Result<Seen, Garbled> {
    Ok(Seen {
        id,
        name: from.text(MAX_NAME_BYTES)?.to_owned(),
        x: from.pair()?,
        y: from.pair()?,
        mass: mass(from.number()?)?,
        flags: from.byte()?,
    })
}

fn decode_moved(was: &Seen, parts: u8, from: &mut Reader) -> Result<Seen, Garbled> {
    if parts & !(MOVED | GREW | FLAGS) != 0 {
        return Err(Garbled);
    }
    let mut is = was.clone();
    if parts & MOVED != 0 {
        is.x = shifted(is.x, from.signed()?)?;
        is.y = shifted(is.y, from.signed()?)?;
    }
    if parts & GREW != 0 {
        is.mass = mass(is.mass.wrapping_add(from.signed()? as u32))?;
    }
    if parts & FLAGS != 0 {
        is.flags = from.byte()?;
    }
    Ok(is)
}

fn shifted(at: u16, by: i32) -> Result<u16, Garbled> {
    let there = i32::from(at).checked_add(by).ok_or(Garbled)?;
    u16::try_from(there).map_err(|_| Garbled)
}

fn mass(mass: u32) -> Result<u32, Garbled> {
    Some(mass).filter(|mass| *mass <= HEAVIEST).ok_or(Garbled)
}

/// A list and the news of it, in the order of ids.
fn merged<T: Clone>(
    before: &[T],
    news: Vec<(u16, Option<T>)>,
    id: fn(&T) -> u16,
    most: usize,
) -> Result<Vec<T>, Garbled> {
    let mut before = before.iter().peekable();
    let mut now = Vec::new();
    for (next, is) in news {
        while let Some(kept) = before.next_if(|old| id(old) < next) {
            now.push(kept.clone());
        }
        before.next_if(|old| id(old) == next);
        now.extend(is);
    }
    now.extend(before.cloned());
    if now.len() <= most { Ok(now) } else { Err(Garbled) }
}

pub fn encode_motes(now: &[Mote], before: &[Mote], to: &mut Writer) {
    let changes = changes(now, before, |mote| mote.id);
    to.number(changes.len() as u32);
    let mut last = 0;
    for (id, _, is) in changes {
        encode_id(id, &mut last, to);
        // Nothing is worth nothing: a mote that is gone.
        to.byte(is.map_or(0, |mote| mote.value));
        if let Some(mote) = is {
            to.pair(mote.x);
            to.pair(mote.y);
        }
    }
}

pub fn decode_motes(before: &[Mote], from: &mut Reader) -> Result<Vec<Mote>, Garbled> {
    let count = from.count(2 * MAX_MOTES)?;
    let (mut news, mut last) = (Vec::with_capacity(count), None);
    for _ in 0..count {
        let id = decode_id(&mut last, from)?;
        let is = match from.byte()? {
            0 => None,
            value => Some(Mote {
                id,
                x: from.pair()?,
                y: from.pair()?,
                value,
            }),
        };
        news.push((id, is));
    }
    merged(before, news, |mote| mote.id, MAX_MOTES)
}

pub fn encode_board(board: &[Row], to: &mut Writer) {
    to.number(board.len() as u32);
    for row in board {
        to.number(row.id.into());
        to.text(&row.name);
        to.number(row.mass);
    }
}

pub fn decode_board(from: &mut Reader) -> Result<Arc<[Row]>, Garbled> {
    let count = from.count(MAX_BOARD)?;
    let row = |from: &mut Reader| -> Result<Row, Garbled> {
        Ok(Row {
            id: from.small()?,
            name: from.text(MAX_NAME_BYTES)?.to_owned(),
            mass: mass(from.number()?)?,
        })
    };
    (0..count).map(|_| row(from)).collect()
}
