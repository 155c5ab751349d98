// Owns what is wrong with the page that is shown, as a list of words. Runs in the page, changes nothing. The argument is the
// width of the screen.
const problems = [];
const root = document.documentElement;
const width = arguments[0];
const name = (e) => e.outerHTML.slice(0, 120);
const seen = (e) => e.getClientRects().length > 0;

if (!root.lang) problems.push("no language");
if (!document.title.trim()) problems.push("no title");
const headings = document.querySelectorAll("h1");
if (headings.length !== 1 || !seen(headings[0]) || !headings[0].innerText.trim()) problems.push(`${headings.length} h1`);
if (document.querySelectorAll("main").length !== 1) problems.push("not one main");

for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  // What is folded away has no innerText.
  const label = [...(field.labels ?? [])].map((l) => l.textContent).join("").trim();
  if (!label && !field.getAttribute("aria-label")) problems.push(`no label: ${name(field)}`);
}
for (const control of document.querySelectorAll("a[href], button, summary")) {
  const label = control.getAttribute("aria-label") ?? control.textContent;
  if (!label.trim()) problems.push(`no name: ${name(control)}`);
}
for (const image of document.querySelectorAll("img:not([alt]), svg:not([aria-hidden]):not([aria-label])")) {
  problems.push(`no text instead: ${name(image)}`);
}
for (const element of document.querySelectorAll("[aria-labelledby], [aria-describedby]")) {
  const ids = `${element.getAttribute("aria-labelledby") ?? ""} ${element.getAttribute("aria-describedby") ?? ""}`;
  for (const id of ids.trim().split(/\s+/)) {
    if (!document.getElementById(id)?.textContent.trim()) problems.push(`#${id} says nothing: ${name(element)}`);
  }
}
const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
for (const id of new Set(ids.filter((id, at) => ids.indexOf(id) !== at))) problems.push(`#${id} twice`);

if (window.innerWidth !== width) problems.push(`laid out for ${window.innerWidth}`);
if (root.scrollWidth > root.clientWidth) {
  const wide = [...document.body.querySelectorAll("*")].filter((e) => e.getBoundingClientRect().right > root.clientWidth);
  problems.push(`${root.scrollWidth} wide: ${wide.slice(0, 3).map(name).join(" ")}`);
}
// WCAG 2.2, 2.5.8: targets of 24 pixels, but for links within a sentence.
for (const target of document.querySelectorAll("button, summary, select, input:not([type=hidden]), .button")) {
  const box = (target.closest("label") ?? target).getBoundingClientRect();
  if (seen(target) && (box.width < 24 || box.height < 24)) problems.push(`too small: ${name(target)}`);
}
return problems;
