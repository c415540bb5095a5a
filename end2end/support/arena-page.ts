// Page object of the arena. The canvas exposes the game's state in data attributes.

import { expect, type Locator, type Page } from "@playwright/test";
import { ko, type Texts } from "./texts";

export class ArenaPage {
  readonly canvas: Locator;
  readonly panel: Locator;
  readonly leaderboard: Locator;
  readonly highScores: Locator;

  constructor(
    readonly page: Page,
    private readonly texts: Texts = ko,
  ) {
    this.canvas = page.locator("#arena-canvas");
    this.panel = page.locator(".arena-panel");
    this.leaderboard = page.locator("#arena-board tbody tr");
    this.highScores = page.locator("#arena-best tbody tr");
  }

  /** Opens the page and waits for frames. */
  async open(): Promise<this> {
    await this.page.goto("/arena");
    await this.expectLive();
    return this;
  }

  async expectLive(): Promise<void> {
    await expect(this.canvas).toHaveAttribute("data-transport", /websocket|http/, { timeout: 30_000 });
    await expect.poll(() => this.number("tick"), { timeout: 30_000 }).toBeGreaterThan(0);
  }

  async play(name: string): Promise<this> {
    await this.panel.getByLabel(this.texts.arena.your_name).fill(name);
    await this.panel.getByRole("button", { name: this.texts.arena.play }).click();
    await expect(this.canvas).toHaveAttribute("data-role", "playing");
    return this;
  }

  async number(name: "tick" | "players" | "own-id" | "focus" | "x" | "y" | "mass" | "round"): Promise<number> {
    return Number((await this.canvas.getAttribute(`data-${name}`)) ?? 0);
  }

  async position(): Promise<{ x: number; y: number }> {
    return { x: await this.number("x"), y: await this.number("y") };
  }

  /** Positions of the visible players, by id. */
  async visiblePlayers(): Promise<Map<number, { x: number; y: number }>> {
    const players = ((await this.canvas.getAttribute("data-visible-players")) ?? "").split(" ").filter(Boolean);
    return new Map(players.map((one) => one.split(":").map(Number)).map(([id, x, y]) => [id, { x, y }]));
  }

  /** Holds a key down until the position has changed by `distance`. */
  async move(key: string, distance = 400): Promise<void> {
    const start = await this.position();
    await this.canvas.focus();
    await this.page.keyboard.down(key);
    const moved = async () => {
      const now = await this.position();
      return Math.hypot(now.x - start.x, now.y - start.y);
    };
    await expect.poll(moved).toBeGreaterThan(distance);
    await this.page.keyboard.up(key);
  }
}
