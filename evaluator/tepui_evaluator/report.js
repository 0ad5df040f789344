"use strict";
(() => {
  const data = JSON.parse(document.getElementById("payload").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const SVG_UP_TO = 2500; // points; a canvas draws more of them faster
  const TABLE_UP_TO = 500;

  // ---- data: columns back to rows (report_payload.pack)
  const cell = (column, i) => ("all" in column ? column.all : "of" in column ? column.of[column.at[i]] : column.each[i]);
  const unpack = ({ n, columns }) =>
    Array.from({ length: n }, (_, i) => Object.fromEntries(Object.entries(columns).map(([k, c]) => [k, cell(c, i)])));
  const models = unpack(data.models);
  const points = (view) => unpack(view.points).map(({ m, ...own }) => ({ ...models[m], ...own }));
  const shared = Object.fromEntries(Object.entries(data.datasets).map(([name, packed]) => [name, unpack(packed)]));
  const LAW_SETS = ["lines", "band", "heldout", "floor", "asymptote", "label"];
  const viewData = (view) => ({
    points: points(view), ...Object.fromEntries(LAW_SETS.map((name) => [name, unpack(view[name])])),
  });

  // ---- which task and shots are looked at
  const form = document.getElementById("controls");
  const radios = (name) => [...form.querySelectorAll(`input[name=${name}]`)];
  const keys = Object.keys(data.views);
  let current = keys.findLast((k) => data.views[k].task === data.views[keys[0]].task);
  const choose = (key) => {
    current = key;
    const view = data.views[key];
    for (const input of radios("task")) input.checked = input.value === view.task;
    for (const input of radios("shots")) {
      input.checked = Number(input.value) === view.shots;
      input.disabled = !(`${view.task}-${input.value}` in data.views);
    }
  };

  // ---- charts
  const views = new Map(); // element -> Vega view, to be finalised before it is drawn again
  const columnsFor = (width, most) => (width < 620 ? 1 : width < 900 ? Math.min(2, most) : most);
  const fit = (spec, width) => {
    if (spec.vconcat) {
      for (const part of spec.vconcat) fit(part, width);
    } else if (spec.concat) {
      spec.columns = columnsFor(width, Math.min(3, spec.concat.length));
      for (const part of spec.concat) part.width = Math.max(180, Math.floor((width - 38) / spec.columns) - 84);
    } else if (spec.facet) {
      const grid = Boolean(spec.facet.column);
      const count = grid ? radios("shots").length : (spec.columns = columnsFor(width, spec.columns ?? 4));
      spec.spec.width = Math.min(300, Math.max(grid ? 92 : 130, Math.floor((width - 100) / count) - (grid ? 16 : 66)));
      spec.spec.height = Math.round(spec.spec.width * 0.72);
    }
    return spec;
  };
  const narrow = (spec, width) => { // legends in a column each where a row would not fit
    if (width < 620) spec.config = { ...spec.config, legend: {
      ...spec.config.legend, columns: 2, layout: { top: { direction: "vertical", margin: 6 } } } };
    return spec;
  };
  // the mouse passes through what lies on top of the points (laws, band, labels) and through the numbers of a heat map
  const THROUGH = ["line", "area", "rule", "rect", "text"];
  const passive = (marks, kinds) => marks.forEach((mark) => {
    if (mark.marks) passive(mark.marks, kinds);
    else if (kinds.includes(mark.type)) mark.interactive = false;
  });
  const patch = (name) => (compiled) => {
    if (["law", "scaling", "overview", "layer_laws"].includes(name)) passive(compiled.marks, THROUGH);
    if (["spearman", "ranks"].includes(name)) passive(compiled.marks, ["text"]);
    return compiled;
  };
  async function draw(element) {
    const name = element.dataset.chart;
    const byView = name === "law" || name === "scaling";
    const view = data.views[current];
    const chosen = name === "law" ? form.elements.axes.value : name;
    const title = byView ? view.error : "";
    const spec = JSON.parse(JSON.stringify(data.charts[chosen]).replaceAll("@ERROR@", JSON.stringify(title).slice(1, -1)));
    spec.datasets = byView ? viewData(view) : shared;
    spec.config = { ...data.themes[dark.matches ? "dark" : "light"], ...(byView ? { point: view.look } : {}) };
    spec.description = element.getAttribute("aria-label");
    const width = element.clientWidth;
    const size = byView ? spec.datasets.points.length : (shared[name] ?? []).length;
    views.get(element)?.finalize();
    const { view: drawn, finalize } = await vegaEmbed(element, narrow(fit(spec, width), width), {
      renderer: size > SVG_UP_TO ? "canvas" : "svg",
      logLevel: 1, // errors only: a law without a band or floor leaves a layer empty, which Vega warns of
      actions: { export: true, source: false, compiled: false, editor: false },
      downloadFileName: byView ? `${name}-${current}` : name,
      patch: patch(name),
      tooltip: { theme: "custom", disableDefaultStyle: false },
    });
    views.set(element, { finalize });
    element.classList.toggle("is-dark", dark.matches);
    element.dataset.drawn = `${chosen}:${current}`;
    drawn.addEventListener("click", (_, item) => item?.datum?.trial && replay(item.datum.trial, true));
  }
  const elements = [...document.querySelectorAll(".chart")];
  const drawAll = async (some = () => true) => {
    for (const element of elements.filter(some)) await draw(element);
  };

  // ---- the points as a table, and the sentence under the figure
  const percent = (x) => `${(100 * x).toFixed(2)}%`;
  const withSe = (x, se) => percent(x) + (se == null ? "" : ` ± ${percent(se)}`);
  function tabulate() {
    const view = data.views[current];
    const rows = points(view).sort((a, b) => a.y - b.y).slice(0, TABLE_UP_TO);
    document.querySelector("#points tbody").replaceChildren(...rows.map((row) => {
      const tr = document.createElement("tr");
      for (const text of [row.trial, row.model, row.setting, withSe(row.x, row.x_se), withSe(row.y, row.y_se)]) {
        tr.append(Object.assign(document.createElement("td"), { textContent: text }));
      }
      tr.children[3].className = tr.children[4].className = "num";
      return tr;
    }));
    const drawn = view.points.n;
    const count = drawn < view.n
      ? `${drawn} of ${view.n} models drawn, evenly and with the whole hull.` : `${view.n} model${view.n === 1 ? "" : "s"}.`;
    document.getElementById("said").textContent = [
      `${view.error}: ${count}`,
      rows.some((row) => row.bar) ? "Bars are one standard error." : "",
      view.heldout.n ? "The stretch marked as held out was predicted from the other models as a check." : "",
    ].join(" ");
  }

  // ---- replay of one trial
  const trialInput = document.getElementById("trial");
  const factors = data.replay?.factors ?? {};
  function replay(trial, fill = false) {
    if (!trialInput) return;
    if (fill) trialInput.value = trial;
    const known = trial in factors;
    if (known) document.getElementById("picked").textContent = `Chosen: ${trial}.`;
    document.getElementById("chosen").textContent = known ? "" : "no trial of this study has this hash";
    if (known) document.getElementById("point-yaml").textContent =
      data.replay.template.replace(data.replay.placeholder, JSON.stringify(factors[trial]));
  }

  // ---- sortable tables
  function sortable(table) {
    const body = table.tBodies[0];
    [...table.tHead.rows[0].cells].forEach((th, column) => {
      if (th.dataset.plain !== undefined) return;
      const button = document.createElement("button");
      button.append(...th.childNodes);
      button.type = "button";
      th.append(button);
      button.addEventListener("click", () => {
        const up = th.getAttribute("aria-sort") !== "ascending";
        for (const other of th.parentNode.cells) other.removeAttribute("aria-sort");
        th.setAttribute("aria-sort", up ? "ascending" : "descending");
        const value = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
        const compare = (a, b) => {
          const [x, y] = [value(a), value(b)], [p, q] = [parseFloat(x), parseFloat(y)];
          return Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y) : p - q;
        };
        body.append(...[...body.rows].sort((a, b) => (up ? 1 : -1) * compare(a, b)));
      });
    });
  }

  // ---- start
  document.querySelectorAll("table.sortable").forEach(sortable);
  if (trialInput) {
    document.getElementById("trials").append(...Object.keys(factors).slice(0, 2000).map((t) => new Option(t, t)));
    trialInput.addEventListener("input", () => replay(trialInput.value.trim()));
  }
  if (form) {
    choose(current);
    form.addEventListener("change", (event) => {
      if (event.target.name !== "axes") {
        const [task, shots] = [form.elements.task.value, form.elements.shots.value];
        const key = `${task}-${shots}`;
        choose(key in data.views ? key : keys.findLast((k) => data.views[k].task === task));
        tabulate();
      }
      drawAll((e) => ["law", "scaling"].includes(e.dataset.chart));
    });
    document.querySelectorAll("a[data-view]").forEach((a) => a.addEventListener("click", () => {
      choose(a.dataset.view);
      tabulate();
      drawAll((e) => ["law", "scaling"].includes(e.dataset.chart));
    }));
    tabulate();
  }
  dark.addEventListener("change", () => drawAll());
  let timer, last = innerWidth;
  addEventListener("resize", () => {
    clearTimeout(timer);
    if (innerWidth !== last) timer = setTimeout(() => { last = innerWidth; drawAll(); }, 200);
  });
  drawAll().then(() => { document.documentElement.dataset.ready = "true"; });
})();
