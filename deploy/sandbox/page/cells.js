// Cells: how a value is shown, and the control that edits it. Everything is text; nothing is ever read as HTML.
"use strict";

const EDIT_TYPES = { number: "number", email: "email", url: "url", phone_number: "tel" };

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const dateOf = (value) => (value && typeof value === "object" ? value.start : value) || "";

function asText(column, value) {
  if (value === null || value === undefined || value === "") return "";
  if (column.type === "checkbox") return value ? "ticked" : "not ticked";
  if (column.type === "date") {
    const start = dateOf(value);
    return start.length > 10 ? new Date(start).toLocaleString() : start;
  }
  if (Array.isArray(value)) return value.map((one) => (typeof one === "string" ? one : JSON.stringify(one))).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

function shownIn(column, value) {
  const text = asText(column, value);
  if (["select", "status"].includes(column.type) && text) {
    const option = column.options.find((one) => one.name === value);
    return element("span", { class: `chip ${option ? option.color : "default"}` }, text);
  }
  return element("span", { class: text ? "text" : "faint" }, text || "Empty");
}

// Returns the control for a value and how to read it; undefined is read where nothing fit was typed.
function editorOf(column, value, label) {
  if (["select", "status"].includes(column.type)) {
    const control = element("select", { "aria-label": label });
    const names = column.options.map((option) => option.name);
    for (const name of column.type === "select" ? ["", ...names] : names) {
      control.append(element("option", { value: name, selected: name === (value ?? "") }, name || "Empty"));
    }
    return { control, read: () => control.value || null };
  }
  if (column.type === "date") {
    const start = dateOf(value);
    const timed = start.length > 10;
    const control = element("input", { type: timed ? "datetime-local" : "date", "aria-label": label });
    if (timed) {
      const local = new Date(start);
      control.value = new Date(local - local.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
    } else control.value = start;
    return { control, read: () => (timed && control.value ? new Date(control.value).toISOString() : control.value || null) };
  }
  if (column.type === "rich_text" && String(value ?? "").length > 60) {
    const control = element("textarea", { "aria-label": label, rows: "5" });
    control.value = value;
    return { control, read: () => control.value };
  }
  const control = element("input", { type: EDIT_TYPES[column.type] || "text", step: "any", "aria-label": label });
  control.value = value ?? "";
  const read = () => {
    if (column.type === "number") return control.value === "" ? null : Number(control.value);
    return control.value === "" && column.type !== "title" && column.type !== "rich_text" ? null : control.value;
  };
  return { control, read };
}
