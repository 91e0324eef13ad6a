"use strict";
// Filters hide the rows, sections and tiles that carry the axis with a value not chosen; headers sort their table.
// What a reader must see works without this: columns are opened by style alone.
const filters = [...document.querySelectorAll(".filter")];

function chosen(filter) {
  return new Set([...filter.querySelectorAll("input:checked")].map((box) => box.value));
}

function apply() {
  const wanted = filters.map((filter) => [filter.dataset.axis, chosen(filter)]);
  for (const element of document.querySelectorAll("tr[data-experiment], tr[data-backend], tr[data-method], .matrix [data-experiment], #leaderboard h3, section[data-experiment], nav [data-experiment], .tiles, .claims [data-backend]")) {
    element.hidden = wanted.some(([axis, values]) => {
      const value = element.dataset[axis];
      return value !== undefined && filterHas(axis, value) && !values.has(value);
    });
  }
  for (const [axis, values] of wanted) {
    const filter = filters.find((each) => each.dataset.axis === axis);
    const all = filter.querySelectorAll("input").length;
    const text = values.size === all ? "all" : values.size > 2 ? `${values.size} of ${all}` : [...values].join(", ") || "none";
    filter.querySelector(".chosen").textContent = text;
  }
  const runs = [...document.querySelectorAll("tr.run")];
  const count = (rows) => rows.reduce((sum, row) => sum + Number(row.dataset.runs ?? 1), 0);
  document.getElementById("count").textContent = `${count(runs.filter((row) => !row.hidden))} of ${count(runs)} runs`;
}

function filterHas(axis, value) {
  const filter = filters.find((each) => each.dataset.axis === axis);
  return [...filter.querySelectorAll("input")].some((box) => box.value === value);
}

function key(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.v !== undefined) return Number(cell.dataset.v === "inf" ? Infinity : cell.dataset.v);
  const text = cell.textContent.trim();
  return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
}

function compare(a, b) {
  const numbers = typeof a === "number" ? 1 : 0;
  const others = typeof b === "number" ? 1 : 0;
  if (numbers !== others) return others - numbers; // numbers before words
  return numbers ? a - b : a.localeCompare(b);
}

function sort(button) {
  const header = button.closest("th");
  const table = button.closest("table");
  const down = header.getAttribute("aria-sort") === "ascending";
  const column = header.cellIndex;
  const rows = [...table.tBodies[0].rows].map((row) => [key(row, column), row]);
  rows.sort(([a], [b]) => (down ? compare(b, a) : compare(a, b)));
  for (const each of table.tHead.rows[0].cells) each.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  table.tBodies[0].append(...rows.map(([, row]) => row));
}

function reveal() {
  const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  for (let up = target; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
  target.scrollIntoView();
}

for (const filter of filters) filter.addEventListener("change", apply);
document.getElementById("reset").addEventListener("click", () => {
  for (const box of document.querySelectorAll(".filter input")) box.checked = true;
  apply();
});
document.addEventListener("click", (event) => {
  for (const filter of filters) if (!filter.contains(event.target)) filter.open = false;
  const button = event.target.closest(".sortable th button");
  if (button) sort(button);
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") for (const filter of filters) filter.open = false;
});
for (const find of document.querySelectorAll(".find input")) find.addEventListener("input", () => {
  const rows = find.closest("label").nextElementSibling.querySelectorAll("tbody tr");
  for (const row of rows) row.classList.toggle("unfound", !row.cells[0].textContent.includes(find.value.trim()));
});
for (const only of document.querySelectorAll("button.only")) only.addEventListener("click", () => {
  for (const box of document.querySelectorAll('.filter[data-axis="experiment"] input')) box.checked = box.value === only.dataset.experiment;
  apply();
  document.getElementById("tables").scrollIntoView();
});
window.addEventListener("hashchange", reveal);
window.addEventListener("beforeprint", () => {
  for (const block of document.querySelectorAll("details.block")) block.open = true;
});
apply();
reveal();
