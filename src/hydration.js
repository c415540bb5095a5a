// Hydration's script half, called by `src/ui/page_script.rs`. Continues from `page.js`, which keeps input before hydration.
// - Replays the kept text and presses once.
// - Has a document that differs from the one that the server sent rendered again instead of hydrated.
{
  const RAW = new Set(["script", "style", "textarea", "title", "noscript", "template", "iframe"]);
  const FRAME = ".skip-link, .frame-header, #content, aside.session-status, .frame-footer, .inspector";
  const RENDER_MS = 10_000;
  const page = window.duplexInput;
  const { FIELDS, fields, presses, waits, log, typed, keyOf, stop } = page;
  let saved = null;

  // Replays the kept input, fields first, each once.
  const set = (field, { value, checked, open, files, start, end, changed }) => {
    if (field.localName === "details") return void (field.open = open);
    const fire = (type) => field.dispatchEvent(new Event(type, { bubbles: true }));
    if (field.type === "checkbox" || field.type === "radio") {
      field.checked = !checked;
      return checked || field.type === "checkbox" ? field.click() : fire("change");
    }
    if (field.type === "file") {
      if (field.files !== files) field.files = files;
      return files.length > 0 && fire("change");
    }
    if (field.value !== value) {
      field.value = value;
      if (start != null && field === document.activeElement) field.setSelectionRange(start, end);
    }
    fire("input");
    if (changed || field.localName === "select") fire("change");
  };
  const press = ({ act }) => (found) => {
    found.removeAttribute?.("aria-busy");
    act(found);
  };
  const flush = () => {
    const due = [];
    for (const [field, state] of fields) if (!waits(field)) due.push([field, (found) => set(found, state)]), fields.delete(field);
    for (const [key, held] of presses) if (!waits(held.element)) due.push([held.element, press(held)]), presses.delete(key);
    when(() => {
      while (due.length > 0) {
        const found = counterpart(due[0][0]);
        if (!found) return false;
        due.shift()[1](found);
      }
      return true;
    });
  };
  // Runs `act` until it succeeds: a fresh rendering inserts its elements in several steps.
  const when = (act) => {
    if (act()) return;
    const watch = new MutationObserver(() => setTimeout(() => act() && watch.disconnect()));
    watch.observe(document.body, { childList: true, subtree: true });
    setTimeout(() => watch.disconnect(), RENDER_MS);
  };

  // Finds the same element in the freshly rendered document.
  const nameOf = (element) =>
    [element.id, element.name, element.type, element.value?.length < 20 && element.localName === "button" ? element.value : "", element.closest("form")?.className, element.closest("[id]")?.id].join("\n");
  const peers = (element) => [...document.querySelectorAll(element.localName)].filter((other) => nameOf(other) === nameOf(element));
  const places = new Map();
  const counterpart = (element) => {
    if (element.isConnected || element === document) return element;
    const { name, place } = places.get(element) ?? {};
    return [...document.querySelectorAll(element.localName)].filter((other) => nameOf(other) === name)[place];
  };
  const save = (element) => places.set(element, { name: nameOf(element), place: peers(element).indexOf(element) });

  // Compares the document with the one that the server sent: `src/server/document_shape.rs` computes the same hash.
  const shape = (first, limit, skipped) => {
    let hash = 0x811c9dc5, count = 0;
    const add = (text) => {
      for (const letter of `${text};`) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
    };
    const visit = (node) => {
      for (; node && count < limit; node = node.nextSibling) {
        count += 1;
        add(node.nodeType === 1 ? node.localName.toLowerCase() : node.nodeType === 8 ? "!" : "");
        if (node !== skipped && !RAW.has(node.localName)) visit(node.firstChild);
      }
    };
    visit(first);
    return `${count}.${(hash >>> 0).toString(16)}`;
  };
  const differs = (part) => {
    const sent = [...document.querySelectorAll("meta[name=duplex-shape]")].at(-1)?.content.split(" ") ?? [];
    const early = document.getElementById("early");
    const marker = [...document.head.childNodes].find((node) => node.nodeType === 8 && node.data === "HEAD");
    const first = { head: marker?.nextSibling, body: document.body.firstChild, early: early?.firstChild }[part];
    const expected = sent.find((one) => one.startsWith(part))?.slice(part.length);
    const found = shape(first, parseInt(expected) || 0, early);
    return expected === found ? "" : `its ${part} is not what the server sent (${found}, not ${expected})`;
  };

  const clear = () => {
    const early = document.getElementById("early");
    // Its click would arrive after it is removed.
    if (page.touched) presses.set(keyOf(page.touched), { element: page.touched, act: (found) => found.click() });
    saved = { x: scrollX, y: scrollY, focus: document.activeElement, kept: page.earlyAlive && early ? [...early.childNodes] : [] };
    for (const element of [...fields.keys(), ...[...presses.values()].map(({ element }) => element), saved.focus]) save(element);
    document.body.style.minHeight = `${document.documentElement.scrollHeight}px`;
    for (const node of [...document.body.childNodes]) {
      const foreign = node.nodeType === 1 && node.localName !== "script" && !node.matches(FRAME) && !node.querySelector(FRAME);
      if (!foreign) node.remove();
    }
    for (const meta of document.head.querySelectorAll("meta[name=description]")) meta.remove();
  };
  const restore = () => {
    const { x, y, focus, kept } = saved;
    document.getElementById("early")?.append(...kept);
    setTimeout(() => (document.body.style.minHeight = ""), RENDER_MS);
    when(() => {
      const found = counterpart(focus);
      const ready = document.querySelector("#content > *") !== null;
      if (!found || !ready) return false;
      document.body.style.minHeight = "";
      if (focus !== document.body) found.focus({ preventScroll: true });
      scrollTo(x, y);
      return true;
    });
  };

  window.duplexPage = {
    // Called before `part`, "early" or "page", is hydrated: returns whether it may be.
    isIntact(part) {
      page.started = true;
      for (const field of document.querySelectorAll(FIELDS)) {
        const { value, defaultValue, checked, defaultChecked } = field;
        const ticks = field.type === "checkbox" || field.type === "radio";
        const changed = field.localName === "select" ? [...field.options].some((one) => one.defaultSelected && !one.selected) : ticks ? checked !== defaultChecked : value !== defaultValue;
        if (changed && field.type !== "file" && waits(field) && !fields.has(field)) fields.set(field, typed(field));
      }
      const why = part === "early" ? differs("early") : differs("head") || differs("body");
      if (why) log("warn", `something changed this page before its program started: ${why}. The page is rendered afresh.`);
      return !why;
    },
    clear: (part) => (part === "early" ? document.getElementById("early").replaceChildren() : clear()),
    restore: (part) => part === "page" && restore(),
    alive(part) {
      if (part === "early") page.earlyAlive = true;
      else page.alive = true;
      flush();
      // Presses that are still kept load the rest of the page.
      if (presses.size > 0) document.dispatchEvent(new Event("duplex-held"));
    },
    isAlive: (part) => Boolean(page.alive || (part === "early" && page.earlyAlive)),
    stop,
  };
}
