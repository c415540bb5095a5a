// The arena's page as a visitor sees it. The canvas says in its attributes what a picture would only show.

import { expect, type Locator, type Page } from "@playwright/test";
import { ko, type Texts } from "./texts";

export class ArenaPage {
  readonly canvas: Locator;
  readonly panel: Locator;
  readonly board: Locator;
  readonly best: Locator;

  constructor(
    readonly page: Page,
    private readonly words: Texts = ko,
  ) {
    this.canvas = page.locator("#arena-canvas");
    this.panel = page.locator(".arena-panel");
    this.board = page.locator("#arena-board tbody tr");
    this.best = page.locator("#arena-best tbody tr");
  }

  /** Opens the page, and waits until frames come. */
  async open(): Promise<this> {
    await this.page.goto("/arena");
    await this.live();
    return this;
  }

  async live(): Promise<void> {
    await expect(this.canvas).toHaveAttribute("data-transport", /websocket|http/, { timeout: 30_000 });
    await expect.poll(() => this.number("tick"), { timeout: 30_000 }).toBeGreaterThan(0);
  }

  async play(name: string): Promise<this> {
    await this.panel.getByLabel(this.words.arena.your_name).fill(name);
    await this.panel.getByRole("button", { name: this.words.arena.play }).click();
    await expect(this.canvas).toHaveAttribute("data-role", "playing");
    return this;
  }

  async number(name: "tick" | "players" | "me" | "focus" | "x" | "y" | "mass" | "round"): Promise<number> {
    return Number((await this.canvas.getAttribute(`data-${name}`)) ?? 0);
  }

  async place(): Promise<{ x: number; y: number }> {
    return { x: await this.number("x"), y: await this.number("y") };
  }

  /** People in sight, by id. */
  async seen(): Promise<Map<number, { x: number; y: number }>> {
    const told = ((await this.canvas.getAttribute("data-seen")) ?? "").split(" ").filter(Boolean);
    return new Map(told.map((one) => one.split(":").map(Number)).map(([id, x, y]) => [id, { x, y }]));
  }

  /** Steers by a key that is held until the place has changed so much. */
  async go(key: string, far = 400): Promise<void> {
    const start = await this.place();
    await this.canvas.focus();
    await this.page.keyboard.down(key);
    const moved = async () => {
      const now = await this.place();
      return Math.hypot(now.x - start.x, now.y - start.y);
    };
    await expect.poll(moved).toBeGreaterThan(far);
    await this.page.keyboard.up(key);
  }
}
