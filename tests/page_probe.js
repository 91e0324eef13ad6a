// The body of an asynchronous function, run in the page; its result is what tests/test_page.py checks.
const visible = (element) => !element.hidden;
const runs = () => [...document.querySelectorAll("tr.run")].filter(visible);
const state = () => ({
  runs: runs().length,
  count: document.getElementById("count").textContent,
  backends: [...new Set(runs().map((row) => row.dataset.backend))].sort(),
});
const set = (axis, keep) => {
  for (const box of document.querySelectorAll(`.filter[data-axis="${axis}"] input`)) {
    if (box.checked !== keep(box.value)) box.click();
  }
};
const answer = {};

const images = [...document.images];
answer.images = images.length;
answer.broken = images.filter((image) => !image.complete || image.naturalWidth === 0).map((image) => image.alt);
// The page's policy lets nothing but embedded data in: an attempt would also be an error in the console.
answer.resources = performance.getEntriesByType("resource").map((entry) => entry.name).filter((name) => !name.startsWith("data:"));

answer.all = state();
const [first] = answer.all.backends;
set("backend", (value) => value !== first);
answer.without = state();
document.getElementById("reset").click();
answer.reset = state();
set("method", (value) => value === "mff");
answer.mff = state();
document.getElementById("reset").click();
set("experiment", (value) => value === "heat-0.3");
answer.experiment = [...document.querySelectorAll("section.experiment")].filter(visible).map((section) => section.id);
document.getElementById("reset").click();

const table = document.querySelector(".experiment .runs table");
const headers = [...table.tHead.rows[0].cells];
const column = headers.findIndex((header) => header.textContent.trim() === "relative L2");
const values = () => [...table.tBodies[0].rows].map((row) => Number(row.cells[column].textContent));
headers[column].querySelector("button").click();
answer.ascending = values();
headers[column].querySelector("button").click();
answer.descending = values();

const list = document.querySelector("details.runs");
const row = list.querySelector("tr.run");
answer.revealed = { before: list.open };
location.hash = `#${row.id}`;
await new Promise((resolve) => setTimeout(resolve, 200));
answer.revealed.after = list.open;
return answer;
