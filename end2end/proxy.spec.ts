// Behind a proxy that blocks WebSocket and buffers or cuts responses, no message is lost.

import { ChatPage, Writer, createRoom } from "./support/chat-page";
import { Proxy } from "./support/proxy";
import { expect, test } from "./support/test";
import { ko } from "./support/texts";

for (const { name, options, label } of [
  { name: "a proxy that cuts responses after 8 s", options: { cutAfter: 8_000, buffering: false }, label: ko.link.sse },
  { name: "a proxy that buffers responses and cuts them after 30 s", options: { cutAfter: 30_000, buffering: true }, label: ko.link.poll },
]) {
  test(name, async ({ browser, baseURL, request, consoleErrors }) => {
    test.slow();
    consoleErrors.allow(/WebSocket/, /leptos_ws/, /ERR_/, /Failed to load resource/);
    const proxy = await Proxy.start(baseURL!, options);
    const context = await browser.newContext({ locale: "ko-KR", baseURL: proxy.url });
    const chat = new ChatPage(await context.newPage());
    await createRoom(request, chat.room);
    await chat.page.goto(chat.path);
    await expect(chat.sessionStatus).toContainText(label, { timeout: 60_000 });
    const sent: string[] = [];
    const writer = new Writer(request);
    for (let number = 0; number < 8; number++) {
      await writer.post(chat.room, `밖에서 ${number}`);
      await expect(chat.message(`밖에서 ${number}`)).toHaveCount(1, { timeout: 15_000 });
      await chat.send(`안에서 ${number}`);
      await expect(chat.message(`안에서 ${number}`)).toHaveCount(1, { timeout: 15_000 });
      sent.push(`밖에서 ${number}`, `안에서 ${number}`);
      // Between the first messages, wait until the proxy has cut a response.
      const cuts = proxy.cuts;
      if (!options.buffering && number < 4) await expect.poll(() => proxy.cuts, { timeout: 20_000 }).toBeGreaterThan(cuts);
    }
    expect(await chat.texts()).toEqual(sent);
    expect(proxy.upgrades).toBeGreaterThan(0);
    await context.close();
    await proxy.stop();
  });
}
