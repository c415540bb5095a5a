// HTTP headers: content security policy, caching, compression.

import type { APIRequestContext } from "@playwright/test";
import { expect, test } from "./support/test";

/** The paths of the built files in the page's HTML. */
async function assets(request: APIRequestContext): Promise<string[]> {
  const html = await (await request.get("/")).text();
  const matches = html.matchAll(/\/pkg\/[\w.-]+\.(js|wasm|css)\b/g);
  return [...new Set([...matches].map(([path]) => path))];
}

test("a page's scripts have a nonce that is new for each response", async ({ request }) => {
  const nonces = new Set<string>();
  for (let visit = 0; visit < 2; visit++) {
    const response = await request.get("/");
    const policy = response.headers()["content-security-policy"] ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain("unsafe-inline");
    expect(policy).not.toMatch(/'unsafe-eval'/);
    const nonce = /script-src[^;]*'nonce-([^']+)'/.exec(policy)?.[1];
    expect(nonce?.length).toBeGreaterThanOrEqual(16);
    // Libraries leave empty scripts, which need no nonce.
    const scripts = [...(await response.text()).matchAll(/<script\b[^>]*>(?!<\/script>)/g)].map(([tag]) => tag);
    expect(scripts.length).toBeGreaterThan(0);
    for (const tag of scripts) expect(tag).toContain(`nonce="${nonce}"`);
    nonces.add(nonce!);
  }
  expect(nonces.size).toBe(2);
});

test("only the home page may connect to other servers", async ({ request }) => {
  const connectSources = async (path: string) => {
    const response = await request.get(path, { headers: { accept: "text/html" } });
    return /connect-src ([^;]*)/.exec(response.headers()["content-security-policy"] ?? "")?.[1];
  };
  expect(await connectSources("/")).toBe("'self' ws: wss:");
  for (const path of ["/about", "/chat", "/market", "/compare", "/no/such/page"]) {
    expect(await connectSources(path), path).toMatch(/^'self'( wss?:\/\/[\w.:[\]-]+)*$/);
  }
});

test("a script without the nonce does not run", async ({ page, consoleErrors }) => {
  consoleErrors.allow(/policy violated: script-src-elem/, /Content Security Policy/);
  await page.goto("/about");
  const violated = page.waitForEvent("console", (message) => message.text().includes("policy violated: script-src-elem"));
  await page.evaluate(() => {
    document.body.insertAdjacentHTML("beforeend", "<div id=into></div>");
    const range = document.createRange();
    document.querySelector("#into")?.append(range.createContextualFragment("<script>document.title = 'injected'</script>"));
  });
  await violated;
  await expect(page).not.toHaveTitle("injected");
});

test("every response forbids MIME sniffing and framing", async ({ request }) => {
  for (const path of ["/", "/about", "/no/such/page", "/favicon.svg", "/api/vitals", "/healthz"]) {
    const headers = (await request.get(path)).headers();
    expect(headers["x-content-type-options"], path).toBe("nosniff");
    expect(headers["content-security-policy"], path).toContain("frame-ancestors 'none'");
  }
});

test("built files have content hashes, are immutable, and are compressed with brotli", async ({ request }) => {
  const paths = await assets(request);
  const kinds = paths.map((path) => path.replace(/.*\//, "").replace(/\..*\./, "."));
  expect(kinds.sort()).toEqual(["__wasm_split.js", "duplex.css", "duplex.js", "duplex.wasm", "hydration.js"]);
  for (const path of paths) {
    expect(path).toMatch(/\.[\w-]{8,}\.(js|wasm|css)$/);
    const response = await request.get(path, { headers: { "accept-encoding": "br" } });
    expect(response.status(), path).toBe(200);
    const headers = response.headers();
    expect(headers["cache-control"], path).toContain("immutable");
    expect(headers["cache-control"], path).toMatch(/max-age=31536000/);
    expect(headers["content-encoding"], path).toBe("br");
    expect(headers["vary"], path).toMatch(/accept-encoding/i);
  }
});

test("a cached file is not sent again", async ({ request }) => {
  const paths = [...(await assets(request)), "/favicon.svg"];
  for (const path of paths) {
    const first = await request.get(path);
    const etag = first.headers()["etag"];
    expect(etag, path).toBeTruthy();
    const again = await request.get(path, { headers: { "if-none-match": etag! } });
    expect(again.status(), path).toBe(304);
    expect((await again.body()).length).toBe(0);
  }
});

test("pages are compressed and not publicly cacheable", async ({ request }) => {
  for (const encoding of ["br", "gzip"]) {
    const response = await request.get("/", { headers: { "accept-encoding": encoding } });
    expect(response.headers()["content-encoding"]).toBe(encoding);
    expect(response.headers()["cache-control"] ?? "").not.toMatch(/public|immutable/);
  }
});

test("a page of another origin cannot open a socket", async ({ page, baseURL, consoleErrors, foreignServer }) => {
  consoleErrors.allow(/WebSocket/);
  const elsewhere = await foreignServer();
  await page.goto(elsewhere.origin);
  const open = (address: string) =>
    page.evaluate(
      (address) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(address);
          socket.onopen = () => resolve("open");
          socket.onerror = () => resolve("rejected");
        }),
      address,
    );
  for (const path of ["/api/socket", "/api/echo"]) {
    expect(await open(new URL(path, baseURL).href.replace("http", "ws"))).toBe("rejected");
  }
  expect(await open(elsewhere.address)).toBe("open");
});
