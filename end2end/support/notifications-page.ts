// The page of notifications and the bell as a visitor sees them, and a program that sends.

import { randomBytes } from "node:crypto";
import { expect, type APIRequestContext, type Locator, type Page } from "@playwright/test";
import type { Server } from "./server";

/** No other test sends under this title. */
export const unique = (title: string) => `${title} ${randomBytes(4).toString("hex")}`;

export interface Call {
  to: "everyone" | { group: string } | { visitor: string };
  title: string | { ko?: string; en?: string };
  body?: string;
  link?: string;
  level?: "info" | "success" | "warning" | "danger";
  key?: string;
  expires?: string | number;
}

/** Sends as curl would; the answer's JSON. */
export async function send(request: APIRequestContext, server: Server, call: Call): Promise<{ topic: string; seq: number; again: boolean }> {
  const headers = { authorization: `Bearer ${server.token}` };
  const answer = await request.post(`${server.url}/api/notifications`, { headers, data: call });
  expect(answer.status(), await answer.text()).toBe(200);
  return answer.json();
}

export class NotificationsPage {
  readonly bell: Locator;
  readonly toasts: Locator;
  readonly rows: Locator;
  readonly status: Locator;

  constructor(readonly page: Page) {
    this.bell = page.locator("a.bell");
    this.toasts = page.locator(".toast");
    this.rows = page.locator("li.notice");
    this.status = page.locator(".inbox-status");
  }

  /** Opens the page, and waits until it and the bell are live. */
  async open(): Promise<this> {
    await this.page.goto("/notifications");
    await this.live();
    return this;
  }

  async live(): Promise<void> {
    await expect(this.status).toHaveAttribute("data-status", "live", { timeout: 30_000 });
    await this.listening();
  }

  /** On any page: the bell's live part is there. */
  async listening(): Promise<void> {
    await expect(this.page.locator("section.toasts")).toBeAttached({ timeout: 30_000 });
    await expect(this.page.locator("aside.link")).toHaveAttribute("data-phase", "live", { timeout: 30_000 });
  }

  /** The visitor's own id, as the page says it. */
  async id(): Promise<string> {
    return this.page.locator(".own-id code").innerText();
  }

  row(title: string): Locator {
    return this.rows.filter({ hasText: title });
  }

  toast(title: string): Locator {
    return this.toasts.filter({ hasText: title });
  }

  /** Unread notices, as the bell counts them. */
  async unread(): Promise<number> {
    return Number((await this.bell.locator(".badge").textContent()) || "0");
  }
}
