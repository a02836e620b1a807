// The sensor: one reading each second, and a trace of the last minute.
const sensor = document.querySelector("#sensor");
const trace = document.querySelector("#trace");
const history = [];

function drawTrace() {
  const low = Math.min(...history), high = Math.max(...history, low + 0.5);
  const points = history.map((value, i) => {
    const x = history.length > 1 ? (i / (history.length - 1)) * 120 : 120;
    return `${x.toFixed(1)},${(33 - ((value - low) / (high - low)) * 30).toFixed(1)}`;
  });
  trace.setAttribute("points", points.join(" "));
}

async function read() {
  try {
    const response = await fetch("/api/sensor", { cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (!response.ok) throw new Error(response.statusText);
    const reading = await response.json();
    document.querySelector("#celsius").textContent = reading.celsius.toFixed(2);
    document.querySelector("#humidity").textContent = reading.humidity;
    document.querySelector("#readings").textContent = reading.readings;
    sensor.dataset.state = "live";
    history.push(reading.celsius);
    if (history.length > 60) history.shift();
    drawTrace();
  } catch {
    sensor.dataset.state = "lost";
  }
  setTimeout(read, 1000);
}
read();

// The viewer: an image in large; arrow keys step, Escape closes.
const viewer = document.querySelector("#viewer");
const links = [...document.querySelectorAll("main a")];
let shown = 0;

function show(number) {
  shown = (number + links.length) % links.length;
  const small = links[shown].firstElementChild, large = viewer.querySelector("img");
  large.src = small.src;
  large.alt = small.alt;
  viewer.querySelector("figcaption").textContent = `${small.alt} · ${shown + 1} of ${links.length}`;
}

links.forEach((link, number) => {
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    show(number);
    viewer.showModal();
  });
});
viewer.addEventListener("click", (event) => {
  const step = Number(event.target.dataset.step);
  if (step) show(shown + step);
  else if (event.target.tagName !== "IMG") viewer.close();
});
viewer.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") show(shown - 1);
  if (event.key === "ArrowRight") show(shown + 1);
});
