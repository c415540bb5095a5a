// Page object of the comparison.

import { expect, type Locator, type Page } from "@playwright/test";
import { ko, type Texts } from "./texts";

/** The compared transports, in the order of the table. */
export const TRANSPORTS = ["socket", "topic", "fetch", "fresh", "sse", "poll", "function", "signal"] as const;
export type Transport = (typeof TRANSPORTS)[number];
export type Column =
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
type StalenessColumn = "late_p50_ms" | "late_max_ms" | "seen" | "missed" | "requests" | "bytes_up" | "bytes_down";

export class ComparePage {
  readonly measure: Locator;
  readonly stop: Locator;
  readonly rows: Locator;
  readonly exportText: Locator;
  readonly resultsNotice: Locator;

  constructor(
    readonly page: Page,
    readonly texts: Texts = ko,
  ) {
    this.measure = page.locator('[data-action="measure"]');
    this.stop = page.locator('[data-action="stop"]');
    this.rows = page.locator("#results tbody tr");
    this.exportText = page.locator("[data-export]");
    this.resultsNotice = page.locator(".results-notice");
  }

  /** Opens the page and waits for hydration, which is when a preset button responds. */
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

  /** Runs a measurement to its end. */
  async run(): Promise<void> {
    await this.measure.click();
    await expect(this.stop).toBeEnabled();
    await this.expectDone();
  }

  async expectDone(): Promise<void> {
    await expect(this.measure).toBeEnabled({ timeout: 90_000 });
  }

  async result(transport: Transport, column: Column): Promise<number> {
    return Number(await this.page.locator(`#results tr[data-transport="${transport}"] td[data-column="${column}"]`).textContent());
  }

  async staleness(watcher: string, column: StalenessColumn): Promise<number> {
    return Number(await this.page.locator(`#stale tr[data-watcher="${watcher}"] td[data-column="${column}"]`).textContent());
  }

  /** The texts of all cells. */
  async cells(): Promise<string[]> {
    return this.rows.locator("td").allTextContents();
  }

  finding(key: string): Locator {
    return this.page.locator(`[data-finding="${key}"]`);
  }

  async copy(format: "copy_markdown" | "copy_csv" | "copy_json" | "copy_link"): Promise<string> {
    await this.page.locator("#copy").getByRole("button", { name: this.texts.compare[format], exact: true }).click();
    return this.exportText.inputValue();
  }
}
