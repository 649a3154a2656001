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

  const whenIdle = window.requestIdleCallback ?? ((task) => task());
  whenIdle(async () => {
    const module = await import(js);
    await module.default({ module_or_path: wasm });
    module.hydrate();
    await hydrate(document.body, module);
  });
})
