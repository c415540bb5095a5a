// The echo page as a visitor sees it.

import { expect, type Download, type Locator, type Page } from "@playwright/test";
import { readFile } from "node:fs/promises";
import { ko, type Texts } from "./texts";

export type State = "connecting" | "open" | "closing" | "closed";
export type Kind = "connecting" | "open" | "sent" | "received" | "closing" | "closed" | "error";
type CardName = "connection" | "compose" | "round_trip" | "handshake" | "journal" | "http";

/** The journal as a file. */
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
  /** Who closed, the code, its meaning, the reason. */
  readonly ending: Locator;
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
  /** Why something was not sent. */
  readonly problem: Locator;
  readonly rows: Locator;
  readonly detail: Locator;
  readonly handshake: Locator;
  readonly journal: Locator;

  constructor(
    readonly page: Page,
    readonly texts: Texts = ko,
  ) {
    const words = texts.echo;
    const connection = this.card("connection");
    const compose = this.card("compose");
    const label = (card: Locator, text: string) => card.getByLabel(text, { exact: true });
    this.state = page.locator(".state[role=status]");
    this.ending = this.state.locator(".ending");
    this.nextAttempt = this.state.locator(".next-attempt");
    this.address = label(connection, words.address);
    this.protocols = label(connection, words.protocols);
    this.code = label(connection, words.code);
    this.reason = label(connection, words.reason);
    this.reconnect = connection.getByRole("switch", { name: words.reconnect });
    this.greet = connection.getByRole("switch", { name: words.greet });
    this.message = label(compose, words.message);
    this.hex = label(compose, words.hex);
    this.file = label(compose, words.file);
    this.problem = compose.getByRole("alert");
    this.handshake = this.card("handshake");
    this.journal = this.card("journal");
    this.rows = this.journal.getByRole("option");
    this.detail = this.journal.getByRole("region", { name: words.detail });
  }

  async open(): Promise<this> {
    await this.page.goto("/");
    await this.is("open");
    return this;
  }

  async is(state: State, timeout?: number): Promise<void> {
    await expect(this.state).toHaveAttribute("data-state", state, { timeout });
    await this.seeAll();
  }

  /** What comes when it is seen. */
  async seeAll(): Promise<void> {
    const later = this.page.locator("#early .later");
    for (const one of await later.all()) {
      await one.scrollIntoViewIfNeeded();
      await expect(one).not.toBeEmpty();
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

  /** Payload and frame of a row, as the page writes them. */
  async sizes(row: Locator): Promise<{ size: string; wire: string }> {
    await expect(row).toBeVisible();
    const [, , size = "", wire = ""] = await row.locator("span").allTextContents();
    return { size, wire };
  }

  /** One of the facts of the handshake. */
  fact(name: "version" | "subprotocol" | "ended"): Locator {
    return this.handshake.locator(`[data-fact="${name}"]`);
  }

  figure(name: "last" | "count"): Locator {
    return this.card("round_trip").locator(`[data-fact="${name}"]`);
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

  async say(text: string): Promise<void> {
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

  /** Through the router: no document is loaded. */
  async go(page: "echo" | "about"): Promise<void> {
    await this.page.getByRole("navigation").getByRole("link", { name: this.texts.app[page], exact: true }).click();
  }
}
