// Page object of the echo page.

import { expect, type Download, type Locator, type Page } from "@playwright/test";
import { readFile } from "node:fs/promises";
import { ko, type Texts } from "./texts";

export type State = "connecting" | "open" | "closing" | "closed";
export type Kind = "connecting" | "open" | "sent" | "received" | "closing" | "closed" | "error";
type CardName = "connection" | "compose" | "round_trip" | "handshake" | "journal" | "http";

/** The exported journal. */
export interface Journal {
  dropped: { entries: number; bytes: number };
  entries: {
    id: number;
    at: number;
    kind: Kind;
    content: { text?: string; binary?: string; note?: string };
    size: number;
    wire: number | null;
    round_trip: number | null;
  }[];
}

export class EchoPage {
  readonly state: Locator;
  /** The closing side, the code with its meaning, and the reason. */
  readonly closeStatus: Locator;
  readonly nextAttempt: Locator;
  readonly address: Locator;
  readonly protocols: Locator;
  readonly code: Locator;
  readonly reason: Locator;
  readonly reconnect: Locator;
  readonly greet: Locator;
  readonly message: Locator;
  readonly hex: Locator;
  readonly file: Locator;
  /** The reason why a message was not sent. */
  readonly problem: Locator;
  readonly rows: Locator;
  readonly detail: Locator;
  readonly handshake: Locator;
  readonly journal: Locator;

  constructor(
    readonly page: Page,
    readonly texts: Texts = ko,
  ) {
    const labels = texts.echo;
    const connection = this.card("connection");
    const compose = this.card("compose");
    const label = (card: Locator, text: string) => card.getByLabel(text, { exact: true });
    this.state = page.locator(".connection-state[role=status]");
    this.closeStatus = this.state.locator(".close-status");
    this.nextAttempt = this.state.locator(".next-attempt");
    this.address = label(connection, labels.address);
    this.protocols = label(connection, labels.protocols);
    this.code = label(connection, labels.code);
    this.reason = label(connection, labels.reason);
    this.reconnect = connection.getByRole("switch", { name: labels.reconnect });
    this.greet = connection.getByRole("switch", { name: labels.greet });
    this.message = label(compose, labels.message);
    this.hex = label(compose, labels.hex);
    this.file = label(compose, labels.file);
    this.problem = compose.getByRole("alert");
    this.handshake = this.card("handshake");
    this.journal = this.card("journal");
    this.rows = this.journal.getByRole("option");
    this.detail = this.journal.getByRole("region", { name: labels.detail });
  }

  async open(): Promise<this> {
    await this.page.goto("/");
    await this.expectState("open");
    return this;
  }

  async expectState(state: State, timeout?: number): Promise<void> {
    await expect(this.state).toHaveAttribute("data-state", state, { timeout });
    await this.revealLazyCards();
  }

  /** Scrolls to the cards that render only when visible. */
  async revealLazyCards(): Promise<void> {
    const lazy = this.page.locator("#early .lazy-content");
    for (const card of await lazy.all()) {
      await card.scrollIntoViewIfNeeded();
      await expect(card).not.toBeEmpty();
    }
  }

  card(name: CardName): Locator {
    return this.page.getByRole("region", { name: this.texts.echo[name], exact: true });
  }

  button(card: CardName, name: string): Locator {
    return this.card(card).getByRole("button", { name, exact: true });
  }

  row(kind: Kind, text?: string): Locator {
    const rows = this.rows.filter({ has: this.page.locator(`[data-kind="${kind}"]`) });
    return text === undefined ? rows : rows.filter({ hasText: text });
  }

  /** The displayed payload and frame sizes of a row. */
  async sizes(row: Locator): Promise<{ size: string; wire: string }> {
    await expect(row).toBeVisible();
    const [, , size = "", wire = ""] = await row.locator("span").allTextContents();
    return { size, wire };
  }

  /** A labelled value of the handshake card. */
  handshakeValue(name: "version" | "subprotocol" | "ended"): Locator {
    return this.handshake.locator(`[data-key="${name}"]`);
  }

  roundTripValue(name: "last" | "count"): Locator {
    return this.card("round_trip").locator(`[data-key="${name}"]`);
  }

  async connect(address?: string): Promise<void> {
    if (address !== undefined) await this.address.fill(address);
    await this.button("connection", this.texts.echo.connect).click();
  }

  async disconnect(code?: number, reason?: string): Promise<void> {
    if (code !== undefined) await this.code.fill(String(code));
    if (reason !== undefined) await this.reason.fill(reason);
    await this.button("connection", this.texts.echo.disconnect).click();
  }

  async send(text: string): Promise<void> {
    await this.message.fill(text);
    await this.message.press("Enter");
  }

  async sendHex(digits: string): Promise<void> {
    await this.hex.fill(digits);
    await this.button("compose", this.texts.echo.send_hex).click();
  }

  async sendFile(name: string, buffer: Buffer): Promise<void> {
    await this.file.setInputFiles({ name, mimeType: "application/octet-stream", buffer });
  }

  async exportJournal(): Promise<{ file: Download; journal: Journal }> {
    const [file] = await Promise.all([
      this.page.waitForEvent("download"),
      this.button("journal", this.texts.echo.export).click(),
    ]);
    return { file, journal: JSON.parse(await readFile(await file.path(), "utf8")) as Journal };
  }

  /** Navigates through the router, without loading a document. */
  async navigate(page: "echo" | "about"): Promise<void> {
    await this.page.getByRole("navigation").getByRole("link", { name: this.texts.app[page], exact: true }).click();
  }
}
