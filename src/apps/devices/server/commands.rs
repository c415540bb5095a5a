//! What only the server commands of devices, of the overview and of the list of orders.

use serde::{Deserialize, Serialize};

use super::super::model::{Device, Overview, Waiting};
use super::super::wire::{
    DeviceEvent, Devices, Fleet, FleetEvent, Health, Millis, News, Open, Orders, OrdersEvent, Outcome, Report,
};
use super::readings::{recalled, reported};
use super::{device, fleet, orders};
use duplex_hub::decider::{Context, ServerCommand};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::Rejection;

/// To a device's topic: for a device behind the broker, for the server's own machine, or by the server itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceServerCommand {
    /// From the device.
    Report(Report),
    /// Something came in the device's name that is no report.
    Bad { why: String },
    /// From the device: what became of the order that was made by the event `order`.
    Ack { order: Seq, ok: bool, note: String },
    /// The device is heard, or not.
    Turn { health: Health, at: Millis },
    /// The device did not answer.
    Expire { order: Seq },
    /// What the device said last, without saying when. It may be long gone.
    Last(Report),
}

/// To the overview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FleetCommand {
    /// From the device's topic.
    Update { id: String, news: News },
    /// From the clock: who is late now, and who was away for so long that it goes.
    Look,
}

/// To the list of orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrdersCommand {
    Add(Open),
    Done {
        device: String,
        order: Seq,
    },
    /// Who waits for too long?
    Look,
}

impl ServerCommand<Devices> for DeviceServerCommand {
    fn decide(self, _devices: &Devices, at: Context<'_>, device: &Device) -> Result<Vec<DeviceEvent>, Rejection> {
        match self {
            Self::Report(report) => reported(at, device, report),
            Self::Bad { why } => Ok(device::bad(at, why)),
            Self::Ack { order, ok, note } => device::answer(at, device, order, Outcome::of_answer(ok), &note),
            Self::Turn { health, at: since } => Ok(device::turn(device, health, since, at.now)),
            Self::Expire { order } => device::answer(at, device, order, Outcome::TimedOut, ""),
            Self::Last(report) => recalled(at, device, report),
        }
    }
}

impl ServerCommand<Fleet> for FleetCommand {
    fn decide(self, _fleet: &Fleet, at: Context<'_>, overview: &Overview) -> Result<Vec<FleetEvent>, Rejection> {
        match self {
            Self::Update { id, news } => fleet::update(overview, id, news, at.now),
            Self::Look => Ok(fleet::look(overview, at.now)),
        }
    }
}

impl ServerCommand<Orders> for OrdersCommand {
    fn decide(self, _orders: &Orders, at: Context<'_>, waiting: &Waiting) -> Result<Vec<OrdersEvent>, Rejection> {
        Ok(match self {
            Self::Add(open) => orders::add(waiting, open),
            Self::Done { device, order } => orders::done(waiting, device, order),
            Self::Look => orders::look(waiting, at.now),
        })
    }
}
