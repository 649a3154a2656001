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

  // What the visitor changed before there was anybody to hear of it. Browsers also bring changes back when a page is loaded again.
  function collectChanges() {
    const fields = [...document.querySelectorAll("leptos-island :is(input, select, textarea)")].filter((field) =>
      field.options
        ? [...field.options].some((option) => option.selected !== option.defaultSelected)
        : field.type === "radio"
          ? field.checked && !field.defaultChecked
          : field.value !== field.defaultValue || field.checked !== field.defaultChecked,
    );
    return fields.map((field) => ({ field, value: field.value, checked: field.checked }));
  }

  function tellChanges(changes) {
    for (const { field, value, checked } of changes) {
      if (field.type !== "file") field.value = value;
      if (checked !== undefined) field.checked = checked;
      for (const name of ["input", "change"]) field.dispatchEvent(new Event(name, { bubbles: true }));
    }
    for (const details of document.querySelectorAll("leptos-island details")) details.dispatchEvent(new Event("toggle"));
  }

  const whenIdle = window.requestIdleCallback ?? ((task) => task());
  whenIdle(async () => {
    const module = await import(js);
    await module.default({ module_or_path: wasm });
    const changes = collectChanges();
    module.hydrate();
    await hydrate(document.body, module);
    // After the effects of the islands.
    setTimeout(tellChanges, 0, changes);
  });
})
