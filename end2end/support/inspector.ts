// Page object of the inspector's drawer.

import { readFile } from "node:fs/promises";
import { expect, type Locator, type Page } from "@playwright/test";
import { ko, type Texts } from "./texts";

export type Fault = "cut" | "block_websocket" | "block_sse" | "unblock" | "offline" | "delay" | "slow" | "drain";
type Tab = "live" | "frames" | "faults" | "how";

export interface Exported {
  session: string;
  counts: { frames_in: number; frames_out: number; lost: number; resumed: number; replayed: number };
  told: { events: number; gaps: number; duplicates: number };
  frames: { carrier: string; direction: string; size: number; wire: number; content: Record<string, unknown> }[];
}

interface WebSocketMessage {
  type: "send" | "receive";
  time: number;
  opcode: number;
  data: string;
}

export interface Har {
  log: {
    version: string;
    entries: { request: { method: string; url: string }; response: { status: number }; _webSocketMessages?: WebSocketMessage[] }[];
  };
}

export class InspectorDrawer {
  readonly drawer: Locator;
  readonly button: Locator;
  readonly deliveryCheck: Locator;

  constructor(
    readonly page: Page,
    readonly texts: Texts = ko,
  ) {
    this.drawer = page.locator("#inspector");
    this.button = page.locator(".inspector-button");
    this.deliveryCheck = this.drawer.locator(".inspector-delivery-check");
  }

  async open(): Promise<this> {
    await this.button.click();
    await expect(this.drawer).toBeVisible();
    return this;
  }

  async openTab(tab: Tab): Promise<void> {
    await this.drawer.getByRole("button", { name: this.texts.inspector[`part_${tab}`], exact: true }).click();
  }

  value(key: string): Locator {
    return this.drawer.locator(`[data-key="${key}"]`);
  }

  topic(name: string): Locator {
    return this.drawer.locator(`tr[data-topic="${name}"]`);
  }

  faultButton(fault: Fault): Locator {
    return this.drawer.locator(`button[data-fault="${fault}"]`);
  }

  /** Injects a fault and returns its section of the timeline. */
  async inject(fault: Fault, seconds?: number): Promise<Locator> {
    await this.openTab("faults");
    if (seconds !== undefined) await this.drawer.locator("input[name=seconds]").fill(String(seconds));
    await this.faultButton(fault).click();
    const period = this.drawer.locator(`article[data-fault="${fault}"]`).first();
    await expect(period).toBeVisible();
    return period;
  }

  /** The trace id of the newest WebSocket. */
  async trace(): Promise<string> {
    await this.openTab("live");
    await expect(this.value("trace")).toHaveText(/^[0-9a-f]{32}$/);
    return (await this.value("trace").textContent()) ?? "";
  }

  /** Expects neither gaps nor duplicates in the session, and returns the number of events. */
  async expectNothingLost(): Promise<number> {
    await this.openTab("live");
    await expect(this.deliveryCheck).toHaveAttribute("data-clean", "true");
    await expect(this.value("gaps")).toHaveText("0");
    await expect(this.value("duplicates")).toHaveText("0");
    return Number((await this.deliveryCheck.locator('[data-key="events"]').textContent())?.replaceAll(",", ""));
  }

  async save<T>(format: "json" | "har"): Promise<T> {
    await this.openTab("live");
    const [file] = await Promise.all([
      this.page.waitForEvent("download"),
      this.drawer.locator(`[data-action="${format}"]`).click(),
    ]);
    return JSON.parse(await readFile(await file.path(), "utf8")) as T;
  }
}
