((js, wasm) => {
  // The children that an island was rendered with on the server are told when theirs come to life.
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

  // What happens before the islands are alive is told to them once they are: keys and buttons, and fields that were changed, which browsers
  // also do when a page is loaded again. A batch's page is alive when it has heard of its batch; it does not wait long for that.
  const patience = 2000;
  const early = [];
  const touched = new Set();

  function remember(event) {
    if (!event.isTrusted) return;
    if (event.type === "input") {
      touched.add(event.target);
    } else if (event.type === "keydown" || event.target.closest?.("button[type=button], [role=grid]")) {
      // Nobody else hears of it before its time.
      event.stopImmediatePropagation();
      if (early.length < 100) early.push(event);
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
    touched.clear();
    const fields = [...document.querySelectorAll("leptos-island :is(input, select, textarea)")].filter(isChanged);
    return fields.map((field) => ({ field, value: field.value, checked: field.checked }));
  }

  function tellChanges(changes) {
    for (const { field, value, checked } of changes.filter(({ field }) => !touched.has(field))) {
      if (field.type !== "file") field.value = value;
      if (checked !== undefined) field.checked = checked;
      for (const type of ["input", "change"]) field.dispatchEvent(new Event(type, { bubbles: true }));
    }
    for (const details of document.querySelectorAll("leptos-island details")) details.dispatchEvent(new Event("toggle"));
  }

  function tellEarly(since) {
    const isWaiting = document.querySelector("[data-connection=connecting]") && performance.now() - since < patience;
    if (isWaiting) return requestAnimationFrame(() => tellEarly(since));
    for (const type of types) document.removeEventListener(type, remember, true);
    for (const event of early) event.target.dispatchEvent(new event.constructor(event.type, event));
  }

  const types = ["keydown", "click", "input"];
  for (const type of types) document.addEventListener(type, remember, true);

  // What the server has rendered is drawn first. A page that nobody sees draws nothing, and an idle moment may be long in coming.
  function isDrawn() {
    return new Promise((resolve) => {
      requestAnimationFrame(() => setTimeout(resolve));
      setTimeout(resolve, 200);
    });
  }

  // Going to a batch does not wait until the page before is drawn for a transition: its squares fill in meanwhile.
  addEventListener("pageswap", ({ viewTransition, activation }) => {
    const destination = activation?.entry?.url;
    if (destination && new URL(destination).pathname.startsWith("/batches/")) viewTransition?.skipTransition();
  });

  async function start() {
    await isDrawn();
    const module = await import(js);
    await module.default({ module_or_path: wasm });
    const changes = collectChanges();
    module.hydrate();
    await hydrate(document.body, module);
    // After the effects of the islands.
    setTimeout(() => {
      tellChanges(changes);
      tellEarly(performance.now());
    });
  }

  start();
})
