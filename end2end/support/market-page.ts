// Page object of the market.

import { expect, type Locator, type Page } from "@playwright/test";

export class MarketPage {
  readonly status: Locator;
  readonly rows: Locator;
  readonly search: Locator;

  constructor(readonly page: Page) {
    this.status = page.locator(".market-status");
    this.rows = page.locator(".market-table tbody tr");
    this.search = page.getByRole("searchbox");
  }

  /** Opens the table or a symbol's page and waits until it is live. */
  async open(symbol?: string): Promise<this> {
    await this.page.goto(symbol ? `/market/${symbol}` : "/market");
    await this.expectLive();
    return this;
  }

  async expectLive(): Promise<void> {
    await expect(this.status).toHaveAttribute("data-status", "live", { timeout: 30_000 });
  }

  row(symbol: string): Locator {
    return this.page.locator(`tr[data-symbol="${symbol}"]`);
  }

  price(symbol: string): Locator {
    return this.row(symbol).locator(".price");
  }

  column(name: string): Locator {
    return this.page.locator(`button[data-column="${name}"]`);
  }

  async symbols(): Promise<string[]> {
    return this.rows.evaluateAll((rows) => rows.map((row) => row.getAttribute("data-symbol")!));
  }

  /** Sets an alert on a symbol's open page. */
  async alert(price: string, side: string): Promise<Locator> {
    const card = this.page.locator("#alerts");
    await card.getByRole("textbox").fill(price);
    await card.getByRole("button", { name: side, exact: true }).click();
    await card.locator("button[type=submit]").click();
    return card.locator(".alert-item").first();
  }
}
