"use strict";
// Filter by outcome, copy a command, tell the moment under the pointer. All data are in the page.
for (const tile of document.querySelectorAll(".tiles button")) {
  tile.addEventListener("click", () => {
    const on = tile.getAttribute("aria-pressed") !== "true";
    for (const other of document.querySelectorAll(".tiles button")) other.setAttribute("aria-pressed", "false");
    tile.setAttribute("aria-pressed", String(on));
    for (const row of document.querySelectorAll("#scenarios tbody tr"))
      row.hidden = on && row.dataset.outcome !== tile.dataset.outcome;
  });
}

for (const button of document.querySelectorAll(".command button")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {  // a page opened as a file may not have the clipboard: then the old way
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
  });
}

const number = (n, unit) => n === null || n === undefined ? "–" : `${Number(n.toPrecision(3)).toLocaleString("en")} ${unit}`;

const led = (span) =>
  span.leader === null ? "no leader" : `leader ${span.leader}${span.answers ? "" : ", which does not answer"}`;

function tell(data, at) {
  const bucket = Math.min(Math.floor(at / data.bucket_s), data.acknowledged.length - 1);
  const lines = [
    `${at.toFixed(2)} s`,
    `acknowledged ${number(data.acknowledged[bucket], "/s")}, delivered ${number(data.read[bucket], "/s")}`,
  ];
  if (data.unacknowledged[bucket]) lines.push(`not acknowledged ${number(data.unacknowledged[bucket], "/s")}`);
  lines.push(`to acknowledgement p50 ${number(data.acknowledgement_p50_ms[bucket], "ms")}, p99 ${number(data.acknowledgement_p99_ms[bucket], "ms")}`);
  lines.push(`to delivery p50 ${number(data.delivery_p50_ms[bucket], "ms")}`);
  for (const fault of data.faults)
    if (fault.from_s <= at && at <= (fault.to_s ?? data.duration_s)) lines.push(`fault: ${fault.name}`);
  for (const [from, to] of data.waits)
    if (from <= at && at <= to) lines.push(`no acknowledgement for ${(to - from).toFixed(1)} s`);
  for (const lane of data.lanes.slice(0, 6))
    for (const span of lane.spans)
      if (span.from_s <= at && at < span.to_s)
        lines.push(`${lane.name}: ${led(span)}, ISR ${span.isr.join(" ")}`);
  for (const [moment, sentence] of data.marks)
    if (Math.abs(moment - at) <= data.bucket_s) { lines.push(sentence); break; }
  return lines.join("\n");
}

for (const picture of document.querySelectorAll(".picture")) {
  const data = JSON.parse(picture.querySelector("script").textContent);
  const line = picture.querySelector(".moment"), told = picture.querySelector(".told");
  const hide = () => { line.style.display = told.style.display = "none"; };
  const show = (event) => {
    const svg = [...picture.querySelectorAll("svg")].find((s) => s.getBoundingClientRect().width > 0);
    const box = svg.getBoundingClientRect(), scale = box.width / svg.viewBox.baseVal.width;
    const left = svg.dataset.left * scale, wide = box.width - left - svg.dataset.right * scale;
    const x = event.clientX - box.left;
    if (x < left || x > left + wide) return hide();
    told.textContent = tell(data, (x - left) / wide * data.duration_s);
    line.style.cssText = `display:block;left:${x}px;top:${svg.dataset.top * scale}px;height:${(svg.dataset.bottom - svg.dataset.top) * scale}px`;
    told.style.display = "block";
    told.style.top = `${svg.dataset.top * scale + 6}px`;
    told.style.left = `${x + 12 + told.offsetWidth < box.width ? x + 12 : Math.max(x - 12 - told.offsetWidth, 0)}px`;
  };
  picture.addEventListener("pointermove", show);
  picture.addEventListener("pointerdown", show);
  picture.addEventListener("pointerleave", hide);
}
