// The page's frame: it takes a picture, asks every network for its answer, and shows the answers side by side.
//
// The notebook writes what it works with:
//   page.json      {classes, labels, answers: [{name, runtime, colour, adapter, file, shape}, …]}
//   pictures.bin   test pictures, 784 bytes each, from 0 (black) to 255 (white)
//   prepare.js     exports prepare(bytes): what the network wants to be given, a Float32Array
//   the adapters   export load(file, shape): a promise of a function from such an array to a promise of ten logits
const SIDE = 28, POINTS = SIDE * SIDE;
const COUNTED = [, , "two", "three", "four", "five"];
const byId = (id) => document.getElementById(id);
const drawing = byId("drawing"), pen = drawing.getContext("2d", { willReadFrequently: true });
const turn = () => new Promise((done) => setTimeout(done));  // lets the page breathe between two computations

const fetched = async (name) => {
  const response = await fetch(name).catch(() => null);
  if (!response?.ok) throw Error(`${name} is missing beside this page`);
  return response;
};
const softmax = (logits) => {
  const highest = Math.max(...logits), powers = Array.from(logits, (logit) => Math.exp(logit - highest));
  const sum = powers.reduce((total, power) => total + power);
  return powers.map((power) => power / sum);
};
const median = (numbers) => [...numbers].sort((one, other) => one - other)[Math.floor(numbers.length / 2)];
const largest = (numbers) => numbers.reduce((best, number) => Math.max(best, number), 0);
const element = (name, properties = {}, ...inside) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...inside);
  return made;
};

// ---------------------------------------------------------------------------------------------- loading
let page, prepare, pictures = [], networks = [];
const failed = [];

async function load() {
  page = await (await fetched("page.json")).json();
  const bytes = new Uint8Array(await (await fetched("pictures.bin")).arrayBuffer());
  for (let start = 0; start < bytes.length; start += POINTS) pictures.push(bytes.subarray(start, start + POINTS));
  ({ prepare } = await import("./prepare.js"));
  makeTable();
  offerPictures(0);
  for (const [column, one] of page.answers.entries()) {
    say(`Loading ${one.name} in ${one.runtime}.`);
    try {
      await fetched(one.file);
      const { load } = await import(`./${one.adapter}`);
      networks.push({ ...one, column, answer: await load(one.file, one.shape) });
    } catch (error) {
      failed.push(`${one.name} in ${one.runtime} does not answer: ${firstLine(error)}.`);
    }
  }
  choose(0);
  await answering;
  for (const one of networks) {
    say(`Timing ${one.name} in ${one.runtime}.`);
    one.milliseconds = await time(one.answer);
    byId(`ms-${one.column}`).textContent = one.milliseconds.toFixed(one.milliseconds < 10 ? 2 : 1);
  }
}

const firstLine = (error) => String(error?.message ?? error).trim().split("\n")[0].replace(/\.$/, "");

/** Median time of an answer in ms, of many rounds: a browser's clock ticks too slowly for a single one. */
async function time(answer) {
  const given = pictures.slice(0, 20).map(prepare);
  const round = async (size) => {
    await turn();
    const start = performance.now();
    for (let i = 0; i < size; i++) await answer(given[i % given.length]);
    return (performance.now() - start) / size;
  };
  await round(10);
  const size = Math.min(100, Math.max(1, Math.ceil(5 / Math.max(await round(5), .01))));
  const rounds = [], end = performance.now() + 400;
  while (rounds.length < 5 || (rounds.length < 50 && performance.now() < end)) rounds.push(await round(size));
  return median(rounds);
}

function say(sentence, state) {
  byId("status").textContent = sentence;
  if (state) document.documentElement.dataset.state = state;
}

// ---------------------------------------------------------------------------------------------- the picture
let seen = new Uint8Array(POINTS), truth = null, wanted = 0, answering = Promise.resolve();

/** Shows 784 bytes to every network. `label`: what it truly is, where that is known. */
function see(bytes, label = null) {
  seen = bytes;
  truth = label;
  paint(byId("preview"), bytes);
  byId("invitation").hidden = bytes.some(Boolean);
  byId("truth").textContent = label === null ? "" : `In truth: ${page.classes[label]}`;
  const mine = ++wanted;
  answering = answering.then(() => (mine === wanted ? answerAll() : null));
}

function paint(canvas, bytes) {
  const image = new ImageData(SIDE, SIDE);
  bytes.forEach((byte, i) => image.data.set([byte, byte, byte, 255], 4 * i));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** What is drawn, as the network knows clothes: grey, the longer side as long as the frame, in the middle. */
function fitted() {
  const { width, height } = drawing, points = pen.getImageData(0, 0, width, height).data;
  let left = width, right = -1, top = height, bottom = -1;
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) if (points[4 * (y * width + x)] > 24) {
    left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
  }
  if (right < 0) return new Uint8Array(POINTS);
  const small = element("canvas", { width: SIDE, height: SIDE }).getContext("2d", { willReadFrequently: true });
  small.fillRect(0, 0, SIDE, SIDE);
  small.imageSmoothingQuality = "high";
  const w = right - left + 1, h = bottom - top + 1;
  const scale = SIDE / Math.max(w, h, 40);  // a dot stays a dot
  const x = (SIDE - w * scale) / 2, y = (SIDE - h * scale) / 2;
  small.drawImage(drawing, left, top, w, h, x, y, w * scale, h * scale);
  const grey = small.getImageData(0, 0, SIDE, SIDE).data;
  return Uint8Array.from({ length: POINTS }, (_, i) => grey[4 * i]);
}

function blank() {
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, drawing.width, drawing.height);
  press("#pictures button", null);
}

function choose(number) {
  blank();
  const small = element("canvas", { width: SIDE, height: SIDE });
  paint(small, pictures[number]);
  pen.drawImage(small, 0, 0, drawing.width, drawing.height);
  press("#pictures button", String(number));
  see(pictures[number], page.labels[number]);
}

function press(selector, value) {
  for (const button of document.querySelectorAll(selector))
    button.setAttribute("aria-pressed", value !== null && (button.dataset.picture ?? button.dataset.brush) === value);
}

/** Ten buttons, a picture of each class: the `round`-th of it. */
function offerPictures(round) {
  const ofClass = page.classes.map((_, label) => page.labels.flatMap((one, i) => (one === label ? [i] : [])));
  byId("pictures").replaceChildren(...ofClass.filter((found) => found.length).map((found) => {
    const number = found[round % found.length], canvas = element("canvas", { width: SIDE, height: SIDE });
    paint(canvas, pictures[number]);
    const button = element("button", { type: "button", onclick: () => choose(number) }, canvas);
    button.dataset.picture = number;
    button.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-label", `Picture ${number + 1}: ${page.classes[page.labels[number]]}`);
    return button;
  }));
}

// drawing: mouse, pen or finger
let brush = 24, at = null;
const place = (event) => {
  const box = drawing.getBoundingClientRect();
  return [(event.clientX - box.left) * drawing.width / box.width, (event.clientY - box.top) * drawing.height / box.height];
};
function stroke(event) {
  const to = place(event);
  Object.assign(pen, { lineWidth: brush, lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
  pen.beginPath();
  pen.moveTo(...at);
  pen.lineTo(...to);
  pen.stroke();
  at = to;
  see(fitted());
}
drawing.addEventListener("pointerdown", (event) => {
  if (truth !== null) blank();  // a drawing begins on an empty sheet
  drawing.setPointerCapture(event.pointerId);
  if (document.documentElement.dataset.state === "ready") say("");
  at = place(event);
  stroke(event);
});
drawing.addEventListener("pointermove", (event) => { if (at) stroke(event); });
for (const end of ["pointerup", "pointercancel"]) drawing.addEventListener(end, () => { at = null; });

byId("clear").onclick = () => { blank(); see(fitted()); };
for (const button of document.querySelectorAll("[data-brush]"))
  button.onclick = () => { brush = Number(button.dataset.brush); press("[data-brush]", button.dataset.brush); };

/** Whatever the outside cannot reach becomes bright. */
byId("fill").onclick = () => {
  const { width, height } = drawing, image = pen.getImageData(0, 0, width, height), outside = new Uint8Array(width * height);
  const open = [];
  for (let i = 0; i < width; i++) open.push(i, (height - 1) * width + i, i * width, i * width + width - 1);
  while (open.length) {
    const i = open.pop(), x = i % width;
    if (outside[i] || image.data[4 * i] > 100) continue;
    outside[i] = 1;
    if (x > 0) open.push(i - 1);
    if (x < width - 1) open.push(i + 1);
    if (i >= width) open.push(i - width);
    if (i < width * (height - 1)) open.push(i + width);
  }
  const dark = [...outside.keys()].filter((i) => !outside[i] && image.data[4 * i] < 200);
  if (!dark.some((i) => image.data[4 * i] <= 100)) return say("Nothing to fill: close the outline first.");
  for (const i of dark) image.data.set([200, 200, 200, 255], 4 * i);
  say(failed.join(" "));
  pen.putImageData(image, 0, 0);
  see(fitted());
};

let round = 0;
byId("others").onclick = () => offerPictures(++round);

byId("photo").onchange = async (event) => {
  try {
    const photo = await createImageBitmap(event.target.files[0]), side = drawing.width;
    const scale = Math.min(side / photo.width, side / photo.height), [w, h] = [photo.width * scale, photo.height * scale];
    blank();
    pen.drawImage(photo, (side - w) / 2, (side - h) / 2, w, h);
    const image = pen.getImageData((side - w) / 2, (side - h) / 2, w, h), { data } = image;
    for (let i = 0; i < data.length; i += 4) data.fill(.299 * data[i] + .587 * data[i + 1] + .114 * data[i + 2], i, i + 3);
    const edge = [0, image.width - 1, image.width * (image.height - 1), image.width * image.height - 1].map((i) => data[4 * i]);
    if (median(edge) > 127) for (let i = 0; i < data.length; i++) if (i % 4 < 3) data[i] = 255 - data[i];  // to bright on black
    pen.putImageData(image, (side - w) / 2, (side - h) / 2);
    see(fitted());
  } catch {
    say("This file is no picture that the browser can read.");
  }
  event.target.value = "";
};

// ---------------------------------------------------------------------------------------------- the answers
async function answerAll() {
  const empty = !seen.some(Boolean), given = prepare(seen), logits = new Map();
  for (const one of networks) logits.set(one, Array.from(await one.answer(given)));
  await turn();
  showAnswers(logits, empty);
}

function showAnswers(logits, empty) {
  const said = new Map([...logits].map(([one, values]) => [one, softmax(values)]));
  const best = [...said.values()].map((shares) => shares.indexOf(largest(shares)));
  for (const one of networks) said.get(one).forEach((share, label) => {
    const cell = byId(`${one.column}-${label}`);
    const rounded = Math.round(100 * share);
    cell.firstChild.textContent = empty ? "–" : rounded ? rounded + (label === best[0] ? " %" : "") : "\u00a0";
    cell.classList.toggle("small", empty || share < .05);
    cell.lastChild.style.setProperty("--share", empty ? 0 : share);
  });
  page.classes.forEach((_, label) => byId(`class-${label}`).classList.toggle("first", !empty && label === best[0]));
  const verdict = empty || !best.length ? "Nothing yet" : best.every((label) => label === best[0])
    ? page.classes[best[0]] : [...new Set(best)].map((label) => page.classes[label]).join(" or ");
  if (byId("verdict").textContent !== verdict) byId("verdict").textContent = byId("echo").textContent = verdict;
  byId("agreement").textContent = empty || logits.size < 2 ? "" : agreement([...logits.values()]);
}

function agreement(answers) {
  const apart = difference(answers), digits = Math.floor(-Math.log10(Math.max(apart, 1e-12)));
  return (digits < 1 ? "The answers do not agree" : `The ${COUNTED[answers.length] ?? answers.length} agree to ${digits} `
    + `decimal${digits > 1 ? "s" : ""}`) + `: the largest difference in any score (logit) is ${apart.toFixed(Math.max(digits, 0) + 2)}.`;
}

/** The largest difference in any logit between any two answers to one picture. */
const difference = (answers) => largest(answers[0]?.map((_, label) => {
  const column = answers.map((logits) => logits[label]);
  return Math.max(...column) - Math.min(...column);
}) ?? []);

function makeTable() {
  const runtimes = [...new Set(page.answers.map(({ runtime }) => runtime))];
  const key = (colour) => element("span", { className: `key ${colour}` });
  byId("runtimes").replaceChildren(
    element("tr", {}, element("td"), ...runtimes.map((runtime) => element("th", {
      scope: "colgroup", colSpan: page.answers.filter((one) => one.runtime === runtime).length },
      runtime))),
    element("tr", {}, element("td"), ...page.answers.map((one) => element("th", { scope: "col" }, key(one.colour), one.name))),
  );
  byId("classes").replaceChildren(...page.classes.map((name, label) => element("tr", { id: `class-${label}` },
    element("th", { scope: "row" }, name),
    ...page.answers.map((one, i) => element("td", { id: `${i}-${label}`, className: one.colour },
      element("span", {}, "–"), element("span", { className: "bar" }))))));
  byId("measured").replaceChildren(element("tr", {}, element("th", { scope: "row" }, "ms a picture"),
    ...page.answers.map((_, i) => element("td", { id: `ms-${i}` }, "…"))));
}

// ---------------------------------------------------------------------------------------------- for the notebook and the tests
window.tandem = {
  networks, failed,
  /** Every network's logits of the first `count` test pictures: {"name, runtime": rows of ten}. */
  async logits(count = pictures.length) {
    const found = {};
    for (const one of networks) {
      const rows = found[`${one.name}, ${one.runtime}`] = [];
      for (const bytes of pictures.slice(0, count)) rows.push(Array.from(await one.answer(prepare(bytes))));
    }
    return found;
  },
  milliseconds: () => Object.fromEntries(networks.map((one) => [`${one.name}, ${one.runtime}`, one.milliseconds])),
  choose, seen: () => Array.from(seen), settled: () => answering,
};

blank();
try {
  await load();
  for (const [i, one] of page.answers.entries())
    if (byId(`ms-${i}`).textContent === "…") byId(`ms-${i}`).textContent = "–";
  say(failed.join(" "), failed.length ? "failed" : "ready");
} catch (error) {
  failed.push(firstLine(error));
  say(`The page does not work: ${firstLine(error)}.`, "failed");
}
