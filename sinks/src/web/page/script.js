// Keeps the page up to date: the present by server-sent events, the chart of the day by the minute.
'use strict';

const now = document.getElementById('now');
const banner = document.getElementById('connection');
let received = Date.now();

// Replaces the parts of `root` that differ, so that what is open, focused or read out stays.
function show(root, text) {
  const fresh = document.createElement('template');
  fresh.innerHTML = text;
  const names = (part) =>
    [...part.querySelectorAll('[data-part]')].map((part) => part.dataset.part).join();
  if (names(root) !== names(fresh.content)) {
    root.replaceChildren(fresh.content);
    return;
  }
  for (const part of fresh.content.querySelectorAll('[data-part]')) {
    const shown = root.querySelector(`[data-part="${CSS.escape(part.dataset.part)}"]`);
    if (shown.innerHTML !== part.innerHTML) shown.innerHTML = part.innerHTML;
  }
}

function age(seconds) {
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

function tick() {
  const since = Math.floor((Date.now() - received) / 1000);
  for (const element of document.querySelectorAll('[data-age]')) {
    const text = age(Number(element.dataset.age) + since);
    if (element.textContent !== text) element.textContent = text;
  }
}

function lost(is) {
  banner.hidden = !is;
  document.body.classList.toggle('stale', is);
}

function follow() {
  const events = new EventSource(now.dataset.live);
  events.addEventListener('now', (event) => {
    lost(false);
    received = Date.now();
    show(now, event.data);
  });
  events.onerror = () => {
    lost(true);
    // After an answer that is no stream a browser does not try again by itself.
    if (events.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  };
}

async function refresh() {
  if (document.hidden) return;
  for (const figure of document.querySelectorAll('[data-refresh]')) {
    try {
      const answer = await fetch(figure.dataset.refresh);
      if (answer.ok) show(figure, await answer.text());
    } catch {
      // The banner says that the connection is lost; the next try comes in a minute.
    }
  }
}

if (now) {
  follow();
  setInterval(tick, 1000);
  setInterval(refresh, 60000);
}
