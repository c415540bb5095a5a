// `Server`: a process of the built server on a free port.

import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const ROOT = resolve(process.cwd(), "..");

/** `DUPLEX_BIN`, relative to the project's directory, or the newest build. */
function binary(): string {
  const configured = process.env.DUPLEX_BIN;
  const builds = ["target/release/duplex", "target/debug/duplex"].map((path) => resolve(ROOT, path)).filter(existsSync);
  const newest = builds.sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
  const found = configured ? resolve(ROOT, configured) : newest;
  if (!found) throw new Error("no built server: run `make build` or set DUPLEX_BIN");
  return found;
}

/** The path of a new database, in a directory that is removed when the test process exits. */
function newDatabase(): string {
  const dir = mkdtempSync(join(tmpdir(), "duplex-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  return join(dir, "duplex.db");
}

/** The environment without the settings of the run's own server, so that only the command line configures the new one. */
function environment(): NodeJS.ProcessEnv {
  const { DUPLEX_DEMO, DUPLEX_FAULTS, DUPLEX_TOKEN, DUPLEX_TRUST_LOCAL, ...rest } = process.env;
  return rest;
}

/** Features that are off by default and that most specs use. */
const DEMO_FLAGS = ["--demo", "--faults", "on"];

export class Server {
  private constructor(
    private readonly process: ChildProcess,
    readonly url: string,
    /** The path of its database. */
    readonly data: string,
  ) {}

  /**
   * Resolves once the server listens. `port` 0 selects a free one; without `data` the database is new. `demo: false` leaves every
   * feature off that is off by default. `args` are further arguments, `env` is the process's environment.
   */
  static async start(
    port = 0,
    data = newDatabase(),
    { host = "127.0.0.1", args = [] as string[], demo = true, env = environment() } = {},
  ): Promise<Server> {
    const site = resolve(ROOT, process.env.DUPLEX_SITE ?? "target/site");
    const options = ["--addr", `${host}:${port}`, "--site", site, "--data", data, ...(demo ? DEMO_FLAGS : []), ...args];
    const child = spawn(binary(), options, { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
    const kill = () => void child.kill("SIGKILL");
    process.once("exit", kill);
    child.once("exit", () => process.off("exit", kill));
    return new Server(child, await address(child), data);
  }

  /** The token with which programs authenticate. */
  get token(): string {
    return this.run("token");
  }

  /** A sign-in link, valid once and for ten minutes. */
  signInLink(): string {
    return this.run("sign-in", "--url", this.url);
  }

  /** Runs a CLI command on the server's data and returns its output. */
  private run(...command: string[]): string {
    const options = { cwd: ROOT, env: environment(), encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] } as const;
    return execFileSync(binary(), [...command, "--data", this.data], options).trim();
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Kills the process and waits for its exit. */
  async stop(signal: "SIGKILL" | "SIGTERM" = "SIGKILL"): Promise<void> {
    if (this.process.exitCode !== null || this.process.signalCode !== null) return;
    const exited = once(this.process, "exit");
    this.process.kill(signal);
    await exited;
  }
}

function address(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    const onData = (chunk: Buffer) => {
      output += chunk.toString();
      const port = /http:\/\/[\d.]+:(\d+)/.exec(output)?.[1];
      if (port) resolve(`http://127.0.0.1:${port}`);
    };
    child.stdout?.on("data", onData);
    child.stderr?.on("data", onData);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`the server exited with ${code} before it listened:\n${output}`)));
  });
}
