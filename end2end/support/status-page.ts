// Page object of the operator's status page.

import { expect, type Locator, type Page } from "@playwright/test";
import { ko } from "./texts";

export class StatusPage {
  readonly dashboardStatus: Locator;
  readonly charts: Locator;
  readonly token: Locator;
  readonly problem: Locator;

  constructor(readonly page: Page) {
    this.dashboardStatus = page.locator(".dashboard-status");
    this.charts = page.locator("svg.trend");
    this.token = page.getByLabel(ko.status.token, { exact: true });
    this.problem = page.locator("#sign-in-problem");
  }

  async open(base = ""): Promise<this> {
    await this.page.goto(`${base}/status`);
    return this;
  }

  async expectLive(): Promise<void> {
    await expect(this.dashboardStatus).toHaveAttribute("data-status", "live", { timeout: 30_000 });
    await expect(this.charts.first().locator("polyline").first()).toHaveAttribute("points", /\d/, { timeout: 10_000 });
  }

  /** Signs in with the token after hydration. */
  async signIn(token: string): Promise<void> {
    await expect(this.page.locator(".vitals")).toHaveAttribute("data-liveness", "live");
    await this.token.fill(token);
    await this.token.press("Enter");
  }

  /** Opens the page and signs in with the token through the plain form. */
  async openAs(token: string, base = ""): Promise<this> {
    await this.open(base);
    const field = this.page.locator("input[name=token]");
    await field.fill(token);
    await field.press("Enter");
    await expect(field).toHaveCount(0);
    return this;
  }

  /** The value with this key: a chart line's current value, or a property of the node. */
  value(key: string): Locator {
    return this.page.locator(`[data-key="${key}"]`);
  }

  /** The number of points of a chart's first line. */
  async points(panel: string): Promise<number> {
    const points = await this.page.locator(`#${panel} polyline`).first().getAttribute("points");
    return points ? points.split(" ").length : 0;
  }
}
