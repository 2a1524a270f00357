// The page: one database as a table, kept up to date, and edited as a person does.
"use strict";

(() => {
  const at = (id) => document.getElementById(id);
  const PAUSE_MS = 300;
  let database = decodeURIComponent(location.hash.slice(1));
  let moves = 0;
  let board = null;
  let editing = false;

  async function ask(path, body) {
    const answer = await fetch(path, body && { method: "POST", body: JSON.stringify(body) });
    const told = await answer.json();
    if (!answer.ok) throw new Error(told.error);
    return told;
  }

  const labelOf = (column, row) => `${column.name} of ${row.cells[board.columns[0].name] || "Untitled"}`;

  function cellOf(column, row) {
    const value = row.cells[column.name];
    const cell = element("td", { "data-key": `${row.id} ${column.name}` });
    if (column.type === "checkbox") {
      const box = element("input", { type: "checkbox", "aria-label": labelOf(column, row), disabled: !column.editable });
      box.checked = Boolean(value);
      box.addEventListener("change", () => save(column, row, box.checked));
      cell.append(box);
    } else if (column.editable) {
      const button = element("button", { type: "button", class: "cell" }, shownIn(column, value));
      button.setAttribute("aria-label", `${labelOf(column, row)}: ${asText(column, value) || "Empty"}`);
      button.addEventListener("click", () => edit(cell, column, row));
      cell.append(button);
    } else cell.append(shownIn(column, value));
    return cell;
  }

  function edit(cell, column, row) {
    const { control, read } = editorOf(column, row.cells[column.name], labelOf(column, row));
    // a control knows no seconds, or no line ends: what it gives is compared with what it gave before anybody typed
    const untouched = read();
    let over = false;
    const end = async (keep, stay = true) => {
      if (over) return;
      over = true;
      editing = false;
      const typed = keep ? read() : untouched;
      cell.replaceWith(cellOf(column, row));
      if (typed !== untouched) await save(column, row, typed);
      // who went on to another cell is not brought back
      if (stay) focusOn(cell.dataset.key);
    };
    control.addEventListener("keydown", (event) => {
      if (event.key === "Escape") end(false);
      if (event.key === "Enter" && !(event.shiftKey && control.tagName === "TEXTAREA")) {
        event.preventDefault();
        end(true);
      }
    });
    if (control.tagName === "SELECT") control.addEventListener("change", () => end(true));
    control.addEventListener("blur", () => end(true, false));
    editing = true;
    cell.replaceChildren(control);
    control.focus();
    control.select?.();
  }

  async function save(column, row, value) {
    try {
      await ask("/sandbox/people/edit", { page: row.id, properties: { [column.name]: value }, person: at("person").value });
      say(`Saved ${labelOf(column, row)}.`);
    } catch (error) {
      say(`Not saved: ${error.message}`);
    }
    await load();
  }

  function focusOn(key) {
    const found = [...at("rows").querySelectorAll("td")].find((cell) => cell.dataset.key === key);
    found?.querySelector("button, input")?.focus();
  }

  const say = (text) => { at("news").textContent = text; };

  async function showComments(row) {
    const found = await ask(`/sandbox/pages/${row.id}/comments`);
    at("comment-list").replaceChildren(...found.map((comment) =>
      element("li", {}, element("strong", {}, comment.author || "Somebody"), element("p", {}, comment.text))));
    at("comments").showModal();
  }

  function rowOf(row) {
    const cells = board.columns.map((column) => cellOf(column, row));
    const talk = element("td", {});
    if (row.comments) {
      const name = row.cells[board.columns[0].name] || "Untitled";
      const button = element("button", { type: "button", class: "talk", "aria-label": `${row.comments} comments on ${name}` }, `💬 ${row.comments}`);
      button.addEventListener("click", () => showComments(row));
      talk.append(button);
    }
    return element("tr", {}, ...cells, talk);
  }

  // Marks and tells what somebody else changed since the last look
  function changes(before) {
    const old = new Map(before.rows.map((row) => [row.id, row.cells]));
    const found = [];
    for (const row of board.rows) {
      for (const column of board.columns) {
        const was = old.get(row.id)?.[column.name];
        if (old.has(row.id) && JSON.stringify(was) !== JSON.stringify(row.cells[column.name])) found.push([row, column]);
      }
      if (!old.has(row.id)) found.push([row, board.columns[0]]);
    }
    return found;
  }

  function show(before) {
    const focused = document.activeElement?.closest?.("td")?.dataset.key;
    at("title").textContent = board.title;
    document.title = `${board.title} · Notion stand-in`;
    at("count").textContent = `${board.count} pages${board.count > board.rows.length ? `, the first ${board.rows.length} shown` : ""}`;
    at("columns").replaceChildren(
      ...board.columns.map((column) => element("th", { scope: "col" }, column.name)),
      element("th", { scope: "col" }, "Comments"),
    );
    at("rows").replaceChildren(...board.rows.map(rowOf));
    if (focused) focusOn(focused);
    if (!before || before.title !== board.title) return;
    const found = changes(before);
    for (const [row, column] of found) {
      const key = `${row.id} ${column.name}`;
      [...at("rows").querySelectorAll("td")].find((cell) => cell.dataset.key === key)?.classList.add("fresh");
    }
    if (found.length) say(`Changed: ${labelOf(found[0][1], found[0][0])}${found.length > 1 ? ` and ${found.length - 1} more` : ""}.`);
  }

  async function load() {
    if (editing || !database) return;
    const query = new URLSearchParams({ database, find: at("find").value });
    const before = board;
    const fresh = await ask(`/sandbox/board?${query}`);
    // what was asked for may be another by now
    if (database !== query.get("database") || at("find").value !== query.get("find")) return;
    if (editing || JSON.stringify(fresh) === JSON.stringify(before)) return;
    board = fresh;
    show(before);
  }

  async function begin() {
    const [state, databases] = await Promise.all([ask("/sandbox"), ask("/sandbox/databases")]);
    if (!at("person").options.length) {
      at("person").append(...Object.keys(state.persons).map((name) => element("option", {}, name)));
    }
    const titles = databases.filter((one) => !one.in_trash).map((one) => one.title);
    if (!titles.includes(database)) database = titles[0] || "";
    at("databases").replaceChildren(...titles.map((title) =>
      element("li", {}, element("a", { href: `#${encodeURIComponent(title)}`, "aria-current": title === database && "page" }, title))));
    if (!database) at("title").textContent = "No database yet: run setup first";
    moves = state.moves;
    await load();
  }

  async function follow() {
    for (;;) {
      try {
        if (!database) await begin();
        const told = await ask(`/sandbox/moves?after=${moves}&timeout_s=20`);
        moves = told.moves;
        await load();
      } catch {
        say("The stand-in can't be reached.");
        board = null;
        moves = 0;
        await new Promise((ready) => setTimeout(ready, 5 * PAUSE_MS));
      }
      await new Promise((ready) => setTimeout(ready, PAUSE_MS));
    }
  }

  addEventListener("hashchange", () => {
    database = decodeURIComponent(location.hash.slice(1));
    begin();
  });
  at("find").addEventListener("input", load);
  begin().catch(() => say("The stand-in can't be reached.")).then(follow);
})();
