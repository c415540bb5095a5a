// The tally's server, on a free port and with its own log. It can be killed and restarted on the same port and log.

import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(process.cwd(), "..");
const BINARY = resolve(ROOT, process.env.TALLY_BIN ?? "target/debug/tally");
const SITE = resolve(ROOT, process.env.TALLY_SITE ?? "target/tally");

export class TallyServer {
  private readonly dir = mkdtempSync(join(tmpdir(), "tally-"));
  private process?: ChildProcess;
  /** 0, which selects a free port, until the first start. */
  private port = 0;

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Resolves once the server listens. */
  async start(): Promise<void> {
    const child = spawn(BINARY, {
      env: {
        ...process.env,
        LEPTOS_OUTPUT_NAME: "tally",
        LEPTOS_SITE_ADDR: `127.0.0.1:${this.port}`,
        LEPTOS_SITE_ROOT: SITE,
        TALLY_DATA: join(this.dir, "tally.db"),
      },
      stdio: ["ignore", "pipe", "inherit"],
    });
    this.process = child;
    this.port = await new Promise((resolve, reject) => {
      let printed = "";
      child.stdout.on("data", (chunk: Buffer) => {
        printed += chunk.toString();
        const port = /:(\d+)\n/.exec(printed)?.[1];
        if (port) resolve(Number(port));
      });
      child.once("error", reject);
      child.once("exit", (code, signal) => reject(new Error(`the server exited before it listened: ${code ?? signal}`)));
    });
  }

  /** Stops the process and returns its exit code; null if the signal killed it. */
  async stop(signal: "SIGKILL" | "SIGTERM"): Promise<number | null> {
    const child = this.process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null;
    const exited = once(child, "exit");
    child.kill(signal);
    const [code] = await exited;
    return code;
  }

  async remove(): Promise<void> {
    await this.stop("SIGKILL");
    rmSync(this.dir, { recursive: true, force: true });
  }
}
