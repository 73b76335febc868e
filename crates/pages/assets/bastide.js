// What pages do a little better with scripts; each works without. No inline code, no requests of its own.
"use strict";

// Copy buttons are shown only where they can work.
for (const button of document.querySelectorAll("button[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  if (!source || !navigator.clipboard) continue;
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(source.textContent.trim());
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy by hand";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// A menu closes with Escape and when something else is chosen.
for (const menu of document.querySelectorAll(".account details")) {
  document.addEventListener("click", (event) => { if (!menu.contains(event.target)) menu.open = false; });
  menu.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    menu.open = false;
    menu.querySelector("summary").focus();
  });
}

// Printing is offered only where something can print.
for (const button of document.querySelectorAll("button[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}

// A link's secret stands behind `#`, where no server sees it: it goes into the form, and out of the address and the history.
for (const field of document.querySelectorAll("input[data-from-fragment]")) {
  if (location.hash.length > 1) {
    field.value = decodeURIComponent(location.hash.slice(1));
    history.replaceState(null, "", location.pathname);
  }
  field.closest(".field").hidden = field.value !== "";
}

// What was confirmed goes on by itself; without scripts the button does it.
for (const form of document.querySelectorAll("form[data-onward]")) form.submit();
