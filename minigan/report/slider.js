"use strict";
// The samples over training. Without this script the page shows the last picture, and no slider.
const data = document.getElementById("frames");
if (data) {
  const frames = JSON.parse(data.textContent); // [[step, label, picture], ...]
  const picture = document.getElementById("picture");
  const label = document.getElementById("step");
  const slider = document.getElementById("slider");
  const play = document.getElementById("play");
  const last = frames.length - 1;
  let timer = null;
  const show = (place) => {
    slider.value = place;
    slider.setAttribute("aria-valuetext", frames[place][0]);
    label.textContent = frames[place][0];
    picture.src = frames[place][1];
    picture.alt = frames[place][2];
  };
  const stop = () => {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  };
  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  play.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(slider.value) === last) show(0);
    play.textContent = "Pause";
    timer = setInterval(() => {
      show(Number(slider.value) + 1);
      if (Number(slider.value) === last) stop();
    }, Math.max(60, Math.min(400, 6000 / last)));
  });
  slider.max = last;
  show(last);
  document.getElementById("controls").hidden = false;
}
