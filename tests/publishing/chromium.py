"""Pages in a headless Chromium: a tab that keeps what goes wrong, and the contrast of what is painted."""

import shutil

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Contrast of every text with what is behind it: WCAG's ratio, from the colours as they are painted.
CONTRAST = """() => {
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const parts = (colour) => (colour.match(/[\\d.]+/g) || []).map(Number);
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + .05) / (y + .05); };
  const behind = (node) => {
    for (let own = node; own; own = own.parentElement) {
      const colour = parts(getComputedStyle(own).backgroundColor);
      if (colour.length >= 3 && colour[3] !== 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.textContent.trim() || !node.getClientRects().length) continue;
    if (['SCRIPT', 'STYLE', 'NOSCRIPT', 'style'].includes(node.tagName)) continue;
    const svg = node.closest('svg');
    const style = getComputedStyle(node);
    let back = behind(node);
    if (svg && node.closest('g[aria-label="text"]')) {
      const box = node.getBoundingClientRect();
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2];
      for (const rect of svg.querySelectorAll('g[aria-label="cell"] rect')) {
        const own = rect.getBoundingClientRect();
        if (own.x <= x && x <= own.right && own.y <= y && y <= own.bottom) back = parts(getComputedStyle(rect).fill);
      }
    }
    found.push([ratio(parts(svg ? style.fill : style.color), back), text.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""


def launched():
    """The browser that is installed, while a fixture lasts. Tests are skipped, and say so, where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no browser was tried")
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed ({', '.join(BROWSERS)}): pages were not opened")
    with sync_api.sync_playwright() as playwright:
        own = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield own
        own.close()


def tab(browser, width: int):
    """A new tab. `wrong`: what its console complained of, and every address that it asked for and that is no file."""
    made = browser.new_context(viewport={"width": width, "height": 900}, accept_downloads=True).new_page()
    made.wrong = []
    made.on("console", lambda message: made.wrong.append(message.text) if message.type in ("error", "warning") else 0)
    made.on("pageerror", lambda error: made.wrong.append(str(error)))
    own = ("file:", "data:", "blob:")
    made.on("request", lambda asked: made.wrong.append(asked.url) if not asked.url.startswith(own) else 0)
    return made
