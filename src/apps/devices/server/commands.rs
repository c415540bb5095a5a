//! Commands that only the server sends to `device/<id>`, `fleet/all` and `orders/all`.

use serde::{Deserialize, Serialize};

use super::super::model::{Device, FleetState, PendingOrders};
use super::super::wire::{
    DeviceEvent, DeviceSummary, Devices, Fleet, FleetEvent, Health, Millis, OrderStatus, Orders, OrdersEvent,
    PendingOrder, Report,
};
use super::readings::{report_last_known, report_live};
use super::{device, fleet, orders};
use duplex_hub::decider::{Context, ServerCommand};
use duplex_protocol::cursor::Seq;
use duplex_protocol::session::Rejection;

/// Commands to a device's topic, sent for an MQTT device, for the host device (host.rs), or by the server itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeviceServerCommand {
    /// From the device.
    Report(Report),
    /// A message from the device could not be parsed.
    #[serde(rename = "bad")]
    InvalidMessage { why: String },
    /// From the device: the answer to the order whose `Ordered` event has the seq `order`.
    Ack { order: Seq, ok: bool, note: String },
    /// The device's health changed.
    #[serde(rename = "turn")]
    SetHealth { health: Health, at: Millis },
    /// The device did not answer in time.
    Expire { order: Seq },
    /// A report of unknown age: an MQTT retained message, a queued message or a last will. The device may be offline.
    #[serde(rename = "last")]
    LastKnown(Report),
}

/// Commands to the overview.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FleetCommand {
    /// From the device's topic.
    Update {
        id: String,
        #[serde(rename = "news")]
        summary: DeviceSummary,
    },
    /// From the watchdog: recomputes the health of all devices and removes those that have been offline for too long.
    #[serde(rename = "look")]
    RefreshHealth,
}

/// Commands to the pending orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrdersCommand {
    Add(PendingOrder),
    #[serde(rename = "done")]
    Answered {
        device: String,
        order: Seq,
    },
    /// From the watchdog: expires the orders that have timed out.
    #[serde(rename = "look")]
    ExpireOverdue,
}

impl ServerCommand<Devices> for DeviceServerCommand {
    fn decide(self, _devices: &Devices, context: Context<'_>, device: &Device) -> Result<Vec<DeviceEvent>, Rejection> {
        match self {
            Self::Report(report) => report_live(context, device, report),
            Self::InvalidMessage { why } => Ok(device::invalid_message(context, why)),
            Self::Ack { order, ok, note } => {
                device::record_answer(context, device, order, OrderStatus::from_ack(ok), &note)
            }
            Self::SetHealth { health, at: since } => Ok(device::set_health(device, health, since, context.now)),
            Self::Expire { order } => device::record_answer(context, device, order, OrderStatus::TimedOut, ""),
            Self::LastKnown(report) => report_last_known(context, device, report),
        }
    }
}

impl ServerCommand<Fleet> for FleetCommand {
    fn decide(self, _fleet: &Fleet, context: Context<'_>, overview: &FleetState) -> Result<Vec<FleetEvent>, Rejection> {
        match self {
            Self::Update { id, summary } => fleet::update_entry(overview, id, summary, context.now),
            Self::RefreshHealth => Ok(fleet::refresh_health(overview, context.now)),
        }
    }
}

impl ServerCommand<Orders> for OrdersCommand {
    fn decide(
        self,
        _orders: &Orders,
        context: Context<'_>,
        pending: &PendingOrders,
    ) -> Result<Vec<OrdersEvent>, Rejection> {
        Ok(match self {
            Self::Add(order) => orders::add(pending, order),
            Self::Answered { device, order } => orders::answered(pending, device, order),
            Self::ExpireOverdue => orders::expire_overdue(pending, context.now),
        })
    }
}
