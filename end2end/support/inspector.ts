// The inspector's drawer as a visitor sees it.

import { readFile } from "node:fs/promises";
import { expect, type Locator, type Page } from "@playwright/test";
import { ko, type Texts } from "./texts";

export type Fault = "cut" | "block_websocket" | "block_sse" | "unblock" | "offline" | "delay" | "slow" | "drain";
type Part = "live" | "frames" | "faults" | "how";

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
  readonly loss: Locator;

  constructor(
    readonly page: Page,
    readonly texts: Texts = ko,
  ) {
    this.drawer = page.locator("#inspector");
    this.button = page.locator(".inspector-button");
    this.loss = this.drawer.locator(".inspector-loss");
  }

  async open(): Promise<this> {
    await this.button.click();
    await expect(this.drawer).toBeVisible();
    return this;
  }

  async show(part: Part): Promise<void> {
    await this.drawer.getByRole("button", { name: this.texts.inspector[`part_${part}`], exact: true }).click();
  }

  fact(name: string): Locator {
    return this.drawer.locator(`[data-fact="${name}"]`);
  }

  topic(name: string): Locator {
    return this.drawer.locator(`tr[data-topic="${name}"]`);
  }

  offer(fault: Fault): Locator {
    return this.drawer.locator(`button[data-fault="${fault}"]`);
  }

  /** Makes a fault; its chapter of the timeline. */
  async make(fault: Fault, seconds?: number): Promise<Locator> {
    await this.show("faults");
    if (seconds !== undefined) await this.drawer.locator("input[name=seconds]").fill(String(seconds));
    await this.offer(fault).click();
    const chapter = this.drawer.locator(`[data-chapter="${fault}"]`).first();
    await expect(chapter).toBeVisible();
    return chapter;
  }

  /** The name by which the server knows the newest WebSocket. */
  async trace(): Promise<string> {
    await this.show("live");
    await expect(this.fact("trace")).toHaveText(/^[0-9a-f]{32}$/);
    return (await this.fact("trace").textContent()) ?? "";
  }

  /** What the drawer says of the whole session. */
  async nothingIsLost(): Promise<number> {
    await this.show("live");
    await expect(this.loss).toHaveAttribute("data-whole", "true");
    await expect(this.fact("gaps")).toHaveText("0");
    await expect(this.fact("duplicates")).toHaveText("0");
    return Number((await this.loss.locator('[data-fact="events"]').textContent())?.replaceAll(",", ""));
  }

  async save<T>(as: "json" | "har"): Promise<T> {
    await this.show("live");
    const [file] = await Promise.all([
      this.page.waitForEvent("download"),
      this.drawer.locator(`[data-act="${as}"]`).click(),
    ]);
    return JSON.parse(await readFile(await file.path(), "utf8")) as T;
  }
}
