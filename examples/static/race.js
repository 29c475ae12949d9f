// Starts six slow requests at once and draws a bar for each while it waits.
const button = document.getElementById("race");
const lanes = document.getElementById("lanes");
const total = document.getElementById("total");

async function run(lane) {
  const answer = await fetch(button.dataset.url, { cache: "no-store" });
  const { pid, thread } = await answer.json();
  lane.className = "done";
  lane.title = `process ${pid}, ${thread}`;
}

button.addEventListener("click", async () => {
  button.disabled = true;
  total.textContent = "";
  lanes.replaceChildren(...Array.from({ length: 6 }, () => document.createElement("li")));
  const start = performance.now();
  await Promise.all(Array.from(lanes.children, run));
  const seconds = (performance.now() - start) / 1000;
  total.textContent = `All six answered after ${seconds.toFixed(2)} s.`;
  button.disabled = false;
});
