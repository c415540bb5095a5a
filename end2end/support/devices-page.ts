// Page object of the devices, and a device that reports over HTTP.

import { readFileSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { expect, type APIRequestContext, type Locator, type Page } from "@playwright/test";

export class DevicesPage {
  readonly status: Locator;
  readonly tiles: Locator;
  readonly search: Locator;

  constructor(readonly page: Page) {
    this.status = page.locator(".devices-status");
    this.tiles = page.locator(".fleet .device");
    this.search = page.locator("input[name=search]");
  }

  async open(path = "/devices"): Promise<this> {
    await this.page.goto(path);
    await this.expectLive();
    return this;
  }

  async expectLive(): Promise<void> {
    await expect(this.status).toHaveAttribute("data-status", "live", { timeout: 30_000 });
  }

  tile(id: string): Locator {
    return this.page.locator(`.device[data-device="${id}"]`);
  }

  value(metric: string): Locator {
    return this.page.locator(`.value[data-metric="${metric}"]`);
  }

  filter(key: string): Locator {
    return this.page.locator(`[data-filter="${key}"]`);
  }

  async order(name: string, argument = ""): Promise<void> {
    await this.page.locator("input[name=order]").fill(name);
    await this.page.locator("input[name=argument]").fill(argument);
    await this.page.locator(".order-form button[type=submit]").click();
  }

  async setThreshold(low: string, high: string, hysteresis = ""): Promise<void> {
    const form = this.page.locator(".threshold");
    await form.locator("input[name=low]").fill(low);
    await form.locator("input[name=high]").fill(high);
    await form.locator("input[name=hysteresis]").fill(hysteresis);
    await form.locator("button[type=submit]").click();
  }
}

interface Reading {
  metric: string;
  value: unknown;
  unit?: string;
  at?: number;
}

/** A device that reports with the server's token, read from the file next to its data. */
export class Sensor {
  readonly id = `e2e-${randomBytes(4).toString("hex")}`;
  private readonly token: string;

  constructor(
    private readonly request: APIRequestContext,
    private readonly base: string,
    data: string,
  ) {
    this.token = readFileSync(`${data}.token`, "utf8").trim();
  }

  get path(): string {
    return `/devices/${this.id}`;
  }

  async report(readings: Reading[], profile: object = {}): Promise<void> {
    const response = await this.request.post(`${this.base}/api/devices/${this.id}/readings`, {
      headers: { authorization: `Bearer ${this.token}` },
      data: { readings, ...profile },
    });
    expect(response.status()).toBe(200);
  }

  async temperature(value: unknown, at?: number): Promise<void> {
    await this.report([{ metric: "temperature", value, unit: "°C", at }]);
  }
}
