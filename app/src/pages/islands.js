((js, wasm) => {
  // Callbacks of the enclosing <leptos-children> elements, innermost last. One is called before an island below it is hydrated.
  const onHydrate = [];

  async function hydrate(node, module) {
    const tag = node.localName;
    if (tag === "leptos-island") {
      const id = node.dataset.component;
      const island = module[id];
      if (island) {
        onHydrate.at(-1)?.();
        await island(node);
      } else {
        console.warn(`There is no island ${id}.`);
      }
    }
    if (tag === "leptos-children") onHydrate.push(node.$$on_hydrate);
    for (const child of node.children) await hydrate(child, module);
    if (tag === "leptos-children") onHydrate.pop();
  }

  // Moments are rendered in UTC, because the server does not know the visitor's time zone.
  for (const time of document.querySelectorAll("time[datetime]")) {
    const moment = new Date(time.dateTime);
    if (Number.isNaN(moment.valueOf())) continue;
    time.title ||= time.textContent;
    time.textContent = moment.toLocaleString("en-US", { dateStyle: "medium", timeStyle: "short" });
  }

  // Key presses, clicks and changed fields before hydration are replayed to the islands after it. Browsers also change fields when they
  // restore a reloaded page. On a batch's page, replaying waits up to `maxConnectMs` until the channel has connected.
  const maxConnectMs = 2000;
  const earlyEvents = [];
  const editedFields = new Set();

  function recordEvent(event) {
    if (!event.isTrusted) return;
    if (event.type === "input") {
      editedFields.add(event.target);
    } else if (event.type === "keydown" || event.target.closest?.("button[type=button], button[aria-haspopup], [role=grid]")) {
      // Handlers get only the replayed event. A button that asks first must not send its form before it can ask.
      event.stopImmediatePropagation();
      if (event.target.closest?.("button[aria-haspopup]")) event.preventDefault();
      if (earlyEvents.length < 100) earlyEvents.push(event);
    }
  }

  function isChanged(field) {
    if (field.options) {
      const standard = [...field.options].findIndex((option) => option.defaultSelected);
      return field.selectedIndex !== Math.max(standard, 0);
    }
    if (field.type === "radio") return field.checked && !field.defaultChecked;
    if (field.type === "checkbox") return field.checked !== field.defaultChecked;
    return field.value !== field.defaultValue;
  }

  function collectChanges() {
    editedFields.clear();
    const fields = [...document.querySelectorAll("leptos-island :is(input, select, textarea)")].filter(isChanged);
    return fields.map((field) => ({ field, value: field.value, checked: field.checked }));
  }

  function replayChanges(changes) {
    for (const { field, value, checked } of changes.filter(({ field }) => !editedFields.has(field))) {
      if (field.type !== "file") field.value = value;
      if (checked !== undefined) field.checked = checked;
      for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
    }
    for (const details of document.querySelectorAll("leptos-island details")) details.dispatchEvent(new Event("toggle"));
  }

  function replayEarlyEvents(since) {
    const isWaiting = document.querySelector("[data-connection=connecting]") && performance.now() - since < maxConnectMs;
    if (isWaiting) return requestAnimationFrame(() => replayEarlyEvents(since));
    for (const type of eventTypes) document.removeEventListener(type, recordEvent, true);
    for (const event of earlyEvents) event.target.dispatchEvent(new event.constructor(event.type, event));
  }

  const eventTypes = ["keydown", "click", "input"];
  for (const type of eventTypes) document.addEventListener(type, recordEvent, true);

  // Resolves once the server-rendered page is drawn. The timeout is for hidden pages, which draw nothing.
  function afterFirstPaint() {
    return new Promise((resolve) => {
      requestAnimationFrame(() => setTimeout(resolve));
      setTimeout(resolve, 200);
    });
  }

  // A view transition would delay the page of a batch while its squares already fill in, so it is skipped.
  addEventListener("pageswap", ({ viewTransition, activation }) => {
    const destination = activation?.entry?.url;
    if (destination && new URL(destination).pathname.startsWith("/batches/")) viewTransition?.skipTransition();
  });

  async function start() {
    await afterFirstPaint();
    const module = await import(js);
    await module.default({ module_or_path: wasm });
    const changes = collectChanges();
    module.hydrate();
    await hydrate(document.body, module);
    // Runs after the effects of the islands.
    setTimeout(() => {
      replayChanges(changes);
      replayEarlyEvents(performance.now());
    });
  }

  start();
})
