// Page object of the notifications and the bell, and a program that sends notices.

import { randomBytes } from "node:crypto";
import { expect, type APIRequestContext, type Locator, type Page } from "@playwright/test";
import type { Server } from "./server";

/** A title that no other test uses. */
export const unique = (title: string) => `${title} ${randomBytes(4).toString("hex")}`;

export interface NoticeRequest {
  to: "everyone" | { group: string } | { visitor: string };
  title: string | { ko?: string; en?: string };
  body?: string;
  link?: string;
  level?: "info" | "success" | "warning" | "danger";
  key?: string;
  expires?: string | number;
}

/** Posts a notice and returns the response's JSON. */
export async function send(request: APIRequestContext, server: Server, notice: NoticeRequest): Promise<{ topic: string; seq: number; again: boolean }> {
  const headers = { authorization: `Bearer ${server.token}` };
  const response = await request.post(`${server.url}/api/notifications`, { headers, data: notice });
  expect(response.status(), await response.text()).toBe(200);
  return response.json();
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

  /** Opens the page and waits until it and the bell are live. */
  async open(): Promise<this> {
    await this.page.goto("/notifications");
    await this.expectLive();
    return this;
  }

  async expectLive(): Promise<void> {
    await expect(this.status).toHaveAttribute("data-status", "live", { timeout: 30_000 });
    await this.expectBellLive();
  }

  /** Waits on any page until the bell's live part has loaded. */
  async expectBellLive(): Promise<void> {
    await expect(this.page.locator("section.toasts")).toBeAttached({ timeout: 30_000 });
    await expect(this.page.locator("aside.session-status")).toHaveAttribute("data-phase", "live", { timeout: 30_000 });
  }

  /** The visitor's id, as the page shows it. */
  async id(): Promise<string> {
    return this.page.locator(".visitor-id code").innerText();
  }

  row(title: string): Locator {
    return this.rows.filter({ hasText: title });
  }

  toast(title: string): Locator {
    return this.toasts.filter({ hasText: title });
  }

  /** The bell's number of unread notices. */
  async unread(): Promise<number> {
    return Number((await this.bell.locator(".badge").textContent()) || "0");
  }
}
