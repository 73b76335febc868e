
// New events of the audit log, as they happen. Without scripts the page is loaded again.
{
  const button = document.getElementById("tail");
  const rows = document.getElementById("events");
  const state = document.getElementById("tail-state");
  const MOST = 300;
  let source = null;
  let told = 0;
  const words = { done: ["Done", "open"], refused: ["Refused", "danger"], reported: ["Reported", "warning"] };
  const cell = (label, ...children) => {
    const made = document.createElement("td");
    made.dataset.label = label;
    made.append(...children);
    return made;
  };
  const element = (name, text, kind) => {
    const made = document.createElement(name);
    made.textContent = text;
    if (kind) made.className = kind;
    return made;
  };
  const show = (event) => {
    const link = element("a", event.time.slice(11, 19) + " UTC");
    link.href = button.dataset.requests + encodeURIComponent(event.request_id.replace(/[{}]/g, ""));
    link.title = event.time;
    const [word, kind] = words[event.outcome] ?? [event.outcome, ""];
    const who = element("bdi", event.actor.replace(/^user:/, ""));
    const row = document.createElement("tr");
    row.className = "new";
    row.append(cell("Time", link), cell("Who", who), cell("Action", element("code", event.action)),
      cell("On", element("bdi", event.resource)), cell("Outcome", element("span", word, "badge " + kind)),
      cell("Address", element("code", event.address ?? "")));
    rows.prepend(row);
    while (rows.children.length > MOST) rows.lastElementChild.remove();
    rows.closest("table").hidden = false;
    told += 1;
    state.textContent = told === 1 ? "1 new event" : told + " new events";
  };
  const stop = (text) => {
    source?.close();
    source = null;
    button.textContent = "Follow new events";
    state.textContent = text;
  };
  if (button && rows && window.EventSource) {
    button.hidden = false;
    button.addEventListener("click", () => {
      if (source) { stop("Stopped following."); return; }
      told = 0;
      source = new EventSource(button.dataset.stream);
      source.addEventListener("open", () => { if (!told) state.textContent = "Following: new events appear above the others."; });
      source.addEventListener("audit", (message) => show(JSON.parse(message.data)));
      source.addEventListener("error", () => { if (source.readyState === EventSource.CLOSED) stop("Cut off: load the page again."); });
      button.textContent = "Stop following";
    });
    window.addEventListener("pagehide", () => source?.close());
  }
}
