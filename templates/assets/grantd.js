// Owns the copy buttons, which stay hidden without this script. Pages work without it.
"use strict";

const said = document.getElementById("said");

async function copy(source) {
  if (navigator.clipboard && window.isSecureContext) {
    await navigator.clipboard.writeText(source.textContent);
    return;
  }
  // Without a secure context there is no clipboard API: select the text and use `execCommand`.
  const range = document.createRange();
  range.selectNodeContents(source);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
  if (!document.execCommand("copy")) throw new Error("copy refused");
}

for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  const face = button.querySelector("span");
  const label = face.textContent;
  let reset;
  button.hidden = false;
  button.addEventListener("click", async () => {
    let done = true;
    try {
      await copy(source);
    } catch {
      done = false;
    }
    face.textContent = done ? "Copied" : "Select it";
    button.classList.toggle("done", done);
    said.textContent = done ? "Copied" : "Could not copy. Please select the text.";
    clearTimeout(reset);
    reset = setTimeout(() => {
      face.textContent = label;
      button.classList.remove("done");
      said.textContent = "";
    }, 2000);
  });
}
