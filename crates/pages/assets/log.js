
// A step's log as it grows. Without scripts the page is loaded again.
{
  const log = document.getElementById("log");
  const state = document.getElementById("log-state");
  const MOST = 20000;
  let into = null;
  let count = 0;
  const link = (line) => {
    const made = document.createElement("a");
    made.href = "#L" + line.number;
    made.textContent = line.number;
    made.setAttribute("aria-label", "Line " + line.number);
    return made;
  };
  const element = (line) => {
    const made = document.createElement("span");
    made.className = "line";
    made.id = "L" + line.number;
    if (!line.command) made.append(link(line));
    for (const span of line.spans) {
      if (!span.class) { made.append(span.text); continue; }
      const piece = document.createElement("i");
      piece.className = span.class;
      piece.textContent = span.text;
      made.append(piece);
    }
    return made;
  };
  const show = (lines) => {
    const follows = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    for (const line of lines) {
      if (line.command) {
        // The link stands beside what folds: nothing that is pressed lies in something else that is.
        const part = document.createElement("div");
        part.className = "part";
        into = document.createElement("details");
        into.open = true;
        const summary = document.createElement("summary");
        summary.append(element(line));
        into.append(summary);
        part.append(link(line), into);
        log.append(part);
      } else {
        if (!into) {
          into = document.createElement("div");
          log.append(into);
        }
        into.append(element(line));
      }
      count += 1;
    }
    while (count > MOST && !log.firstElementChild.contains(into)) {
      count -= log.firstElementChild.querySelectorAll(".line").length;
      log.firstElementChild.remove();
    }
    if (follows) log.scrollTop = log.scrollHeight;
  };
  if (log?.dataset.stream && window.EventSource) {
    into = log.lastElementChild?.querySelector("details") ?? log.lastElementChild;
    count = log.querySelectorAll(".line").length;
    log.scrollTop = log.scrollHeight;
    const source = new EventSource(log.dataset.stream);
    source.addEventListener("lines", (message) => show(JSON.parse(message.data)));
    source.addEventListener("end", () => { source.close(); window.location.reload(); });
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) state.textContent = "Cut off: load the page again.";
    });
    window.addEventListener("pagehide", () => source.close());
  }
  const waits = document.querySelector("[data-waits]");
  if (waits && !log?.dataset.stream) window.setTimeout(() => window.location.reload(), 3000);
  // A link to a line inside a folded command opens it.
  const open = () => document.getElementById(window.location.hash.slice(1))?.closest("details")?.setAttribute("open", "");
  if (log) { window.addEventListener("hashchange", open); open(); }
}
