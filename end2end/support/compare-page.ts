// The comparison as a visitor sees it.

import { expect, type Locator, type Page } from "@playwright/test";
import { ko, type Texts } from "./texts";

/** In the order of the table. */
export const WAYS = ["socket", "topic", "fetch", "fresh", "sse", "poll", "function", "signal"] as const;
export type Way = (typeof WAYS)[number];
export type Figure =
  | "p50_ms"
  | "p95_ms"
  | "p99_ms"
  | "per_second"
  | "bytes_up"
  | "bytes_down"
  | "overhead_percent"
  | "connections"
  | "server_cpu_us"
  | "answered"
  | "failed";
type StaleFigure = "late_p50_ms" | "late_max_ms" | "seen" | "missed" | "requests" | "bytes_up" | "bytes_down";

export class ComparePage {
  readonly measure: Locator;
  readonly stop: Locator;
  readonly rows: Locator;
  readonly copied: Locator;
  readonly somebodys: Locator;

  constructor(
    readonly page: Page,
    readonly texts: Texts = ko,
  ) {
    this.measure = page.locator('[data-act="measure"]');
    this.stop = page.locator('[data-act="stop"]');
    this.rows = page.locator("#results tbody tr");
    this.copied = page.locator("[data-copied]");
    this.somebodys = page.locator(".somebodys");
  }

  /** Open and hydrated: the stop button is off from the first, so it says nothing; a preset answers only when scripts run. */
  async open(fragment = ""): Promise<this> {
    await this.page.goto(`/compare${fragment}`);
    const chat = this.page.getByRole("button", { name: this.texts.compare.preset_chat, exact: true });
    const tick = this.page.getByRole("button", { name: this.texts.compare.preset_tick, exact: true });
    await expect(async () => {
      await tick.click();
      await expect(tick).toHaveAttribute("aria-pressed", "true", { timeout: 500 });
    }).toPass();
    await chat.click();
    return this;
  }

  async set(name: "payload" | "count" | "rate" | "in-flight", value: number): Promise<void> {
    const field = this.page.locator(`[data-setting="${name}"]`);
    await field.fill(String(value));
    await field.press("Tab");
  }

  /** Measures to the end. */
  async run(): Promise<void> {
    await this.measure.click();
    await expect(this.stop).toBeEnabled();
    await this.done();
  }

  async done(): Promise<void> {
    await expect(this.measure).toBeEnabled({ timeout: 90_000 });
  }

  async figure(way: Way, name: Figure): Promise<number> {
    return Number(await this.page.locator(`#results tr[data-way="${way}"] td[data-figure="${name}"]`).textContent());
  }

  async stale(watcher: string, name: StaleFigure): Promise<number> {
    return Number(await this.page.locator(`#stale tr[data-watcher="${watcher}"] td[data-figure="${name}"]`).textContent());
  }

  /** All figures as they are shown. */
  async cells(): Promise<string[]> {
    return this.rows.locator("td").allTextContents();
  }

  finding(key: string): Locator {
    return this.page.locator(`[data-finding="${key}"]`);
  }

  async copy(what: "copy_markdown" | "copy_csv" | "copy_json" | "copy_link"): Promise<string> {
    await this.page.locator("#copy").getByRole("button", { name: this.texts.compare[what], exact: true }).click();
    return this.copied.inputValue();
  }
}
