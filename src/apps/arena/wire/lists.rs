//! Delta encoding of a frame's lists: bodies, motes and the leaderboard.

use std::sync::Arc;

use super::MAX_NAME_BYTES;
use super::bytes::{DecodeError, Reader, Writer};
use super::frame::{LeaderboardRow, MAX_LEADERBOARD, VisibleBody};
use crate::apps::arena::model::body::MAX_MASS;
use crate::apps::arena::model::world::{MAX_BODIES, MAX_MOTES, Mote};

// The bits of the byte before a changed body.
const REMOVED: u8 = 1;
const ADDED: u8 = 2;
const MOVED: u8 = 4;
const RESIZED: u8 = 8;
const FLAGS: u8 = 16;

/// The differences between two lists sorted by id: each changed id with its old and its new item.
fn changes<'a, T: PartialEq>(
    now: &'a [T],
    before: &'a [T],
    id: fn(&T) -> u16,
) -> Vec<(u16, Option<&'a T>, Option<&'a T>)> {
    let (mut now, mut before) = (now.iter().peekable(), before.iter().peekable());
    let mut changes = Vec::new();
    loop {
        let next = match (now.peek(), before.peek()) {
            (None, None) => return changes,
            (Some(now), None) => id(now),
            (None, Some(before)) => id(before),
            (Some(now), Some(before)) => id(now).min(id(before)),
        };
        let is_next = |item: &&T| id(item) == next;
        let (new, old) = (now.next_if(is_next), before.next_if(is_next));
        if new != old {
            changes.push((next, old, new));
        }
    }
}

/// Writes an id as its distance from the preceding one: small, because ids ascend.
fn encode_id(id: u16, last: &mut u16, writer: &mut Writer) {
    writer.varint(id.wrapping_sub(*last).into());
    *last = id;
}

fn decode_id(last: &mut Option<u16>, reader: &mut Reader) -> Result<u16, DecodeError> {
    let step = reader.varint_u16()?;
    let id = match *last {
        None => step,
        Some(last) if step > 0 => last.checked_add(step).ok_or(DecodeError)?,
        Some(_) => return Err(DecodeError),
    };
    *last = Some(id);
    Ok(id)
}

pub fn encode_bodies(now: &[VisibleBody], before: &[VisibleBody], writer: &mut Writer) {
    let changes = changes(now, before, |body| body.id);
    writer.varint(changes.len() as u32);
    let mut last = 0;
    for (id, old, new) in changes {
        encode_id(id, &mut last, writer);
        match (old, new) {
            (_, None) => writer.byte(REMOVED),
            (Some(old), Some(new)) if old.name == new.name => encode_changed(old, new, writer),
            (_, Some(new)) => {
                writer.byte(ADDED);
                writer.text(&new.name);
                writer.u16_le(new.x);
                writer.u16_le(new.y);
                writer.varint(new.mass);
                writer.byte(new.flags);
            }
        }
    }
}

fn encode_changed(old: &VisibleBody, new: &VisibleBody, writer: &mut Writer) {
    let flag = |set: bool, flag: u8| if set { flag } else { 0 };
    let (moved, resized, flags) = (
        (old.x, old.y) != (new.x, new.y),
        old.mass != new.mass,
        old.flags != new.flags,
    );
    writer.byte(flag(moved, MOVED) | flag(resized, RESIZED) | flag(flags, FLAGS));
    if moved {
        writer.signed_varint(i32::from(new.x) - i32::from(old.x));
        writer.signed_varint(i32::from(new.y) - i32::from(old.y));
    }
    if resized {
        writer.signed_varint(new.mass.wrapping_sub(old.mass) as i32);
    }
    if flags {
        writer.byte(new.flags);
    }
}

pub fn decode_bodies(before: &[VisibleBody], reader: &mut Reader) -> Result<Vec<VisibleBody>, DecodeError> {
    let count = reader.count(2 * MAX_BODIES)?;
    let (mut changes, mut last) = (Vec::with_capacity(count), None);
    for _ in 0..count {
        let id = decode_id(&mut last, reader)?;
        let old = || {
            before
                .binary_search_by_key(&id, |body| body.id)
                .ok()
                .and_then(|at| before.get(at))
        };
        let new = match reader.byte()? {
            REMOVED => None,
            ADDED => Some(decode_added(id, reader)?),
            change => Some(decode_changed(old().ok_or(DecodeError)?, change, reader)?),
        };
        changes.push((id, new));
    }
    merge(before, changes, |body| body.id, MAX_BODIES)
}

fn decode_added(id: u16, reader: &mut Reader) -> Result<VisibleBody, DecodeError> {
    Ok(VisibleBody {
        id,
        name: reader.text(MAX_NAME_BYTES)?.into(),
        x: reader.u16_le()?,
        y: reader.u16_le()?,
        mass: checked_mass(reader.varint()?)?,
        flags: reader.byte()?,
    })
}

fn decode_changed(old: &VisibleBody, change: u8, reader: &mut Reader) -> Result<VisibleBody, DecodeError> {
    if change & !(MOVED | RESIZED | FLAGS) != 0 {
        return Err(DecodeError);
    }
    let mut new = old.clone();
    if change & MOVED != 0 {
        new.x = shift(new.x, reader.signed_varint()?)?;
        new.y = shift(new.y, reader.signed_varint()?)?;
    }
    if change & RESIZED != 0 {
        new.mass = checked_mass(new.mass.wrapping_add(reader.signed_varint()? as u32))?;
    }
    if change & FLAGS != 0 {
        new.flags = reader.byte()?;
    }
    Ok(new)
}

fn shift(position: u16, by: i32) -> Result<u16, DecodeError> {
    let shifted = i32::from(position).checked_add(by).ok_or(DecodeError)?;
    u16::try_from(shifted).map_err(|_| DecodeError)
}

fn checked_mass(mass: u32) -> Result<u32, DecodeError> {
    Some(mass).filter(|mass| *mass <= MAX_MASS).ok_or(DecodeError)
}

/// Applies changes to a list; both are sorted by id.
fn merge<T: Clone>(
    before: &[T],
    changes: Vec<(u16, Option<T>)>,
    id: fn(&T) -> u16,
    max: usize,
) -> Result<Vec<T>, DecodeError> {
    let mut before = before.iter().peekable();
    let mut now = Vec::new();
    for (next, new) in changes {
        while let Some(kept) = before.next_if(|old| id(old) < next) {
            now.push(kept.clone());
        }
        before.next_if(|old| id(old) == next);
        now.extend(new);
    }
    now.extend(before.cloned());
    if now.len() <= max { Ok(now) } else { Err(DecodeError) }
}

pub fn encode_motes(now: &[Mote], before: &[Mote], writer: &mut Writer) {
    let changes = changes(now, before, |mote| mote.id);
    writer.varint(changes.len() as u32);
    let mut last = 0;
    for (id, _, new) in changes {
        encode_id(id, &mut last, writer);
        // No mote has the value 0: it marks a removed one.
        writer.byte(new.map_or(0, |mote| mote.value));
        if let Some(mote) = new {
            writer.u16_le(mote.x);
            writer.u16_le(mote.y);
        }
    }
}

pub fn decode_motes(before: &[Mote], reader: &mut Reader) -> Result<Vec<Mote>, DecodeError> {
    let count = reader.count(2 * MAX_MOTES)?;
    let (mut changes, mut last) = (Vec::with_capacity(count), None);
    for _ in 0..count {
        let id = decode_id(&mut last, reader)?;
        let new = match reader.byte()? {
            0 => None,
            value => Some(Mote {
                id,
                x: reader.u16_le()?,
                y: reader.u16_le()?,
                value,
            }),
        };
        changes.push((id, new));
    }
    merge(before, changes, |mote| mote.id, MAX_MOTES)
}

pub fn encode_leaderboard(leaderboard: &[LeaderboardRow], writer: &mut Writer) {
    writer.varint(leaderboard.len() as u32);
    for row in leaderboard {
        writer.varint(row.id.into());
        writer.text(&row.name);
        writer.varint(row.mass);
    }
}

pub fn decode_leaderboard(reader: &mut Reader) -> Result<Arc<[LeaderboardRow]>, DecodeError> {
    let count = reader.count(MAX_LEADERBOARD)?;
    let row = |reader: &mut Reader| -> Result<LeaderboardRow, DecodeError> {
        Ok(LeaderboardRow {
            id: reader.varint_u16()?,
            name: reader.text(MAX_NAME_BYTES)?.to_owned(),
            mass: checked_mass(reader.varint()?)?,
        })
    };
    (0..count).map(|_| row(reader)).collect()
}
