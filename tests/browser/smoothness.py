"""How smooth the page is while it shows a long caption: ``python -m tests.browser.smoothness``.

A scripted run of 500 tokens comes at 120 events a second. Measured in the browser, from the first token to the end:
the time between two frames, and tasks of more than 50 ms on the main thread (during which the page answers nobody).
Once as on a laptop, and once on a phone's width with a processor at a quarter of its speed. A measurement, and no test:
these figures belong to a machine, on which nothing else should run meanwhile.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.browser.conftest import Visit, find_chromium, serving

MEASURE = """() => {
  window.frames_ms = []; window.long_ms = [];
  let last = null;
  const tick = (now) => {
    if (last !== null) window.frames_ms.push(now - last);
    last = now;
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
  new PerformanceObserver((list) => { for (const task of list.getEntries()) window.long_ms.push(task.duration); })
    .observe({ entryTypes: ["longtask"] });
}"""


def measure(page: Visit) -> dict[str, Any]:
    """Caption the first example, and what the browser made of it."""
    page.example()
    page.page.wait_for_timeout(1000)
    page.page.locator("#run").click()
    page.wait("document.querySelectorAll('#strip .strip .tok').length > 0")
    page.page.evaluate(MEASURE)
    page.wait("!document.querySelector('#run').disabled", timeout_s=120)
    page.page.wait_for_timeout(500)
    frames, long = page.page.evaluate("[window.frames_ms, window.long_ms]")
    updates = int(page.page.locator("#strip [data-updates], #strip[data-updates]").first.get_attribute("data-updates"))
    chips = page.page.locator("#strip .strip .tok").count()
    quantiles = np.quantile(frames, (0.5, 0.95, 0.99, 1.0)).round(1).tolist()
    return {
        "tokens": chips,
        "seconds": round(sum(frames) / 1000, 1),
        "updates": updates,
        "frame_ms": dict(zip(("median", "p95", "p99", "worst"), quantiles, strict=True)),
        "long_tasks": len(long),
        "long_task_ms_worst": round(max(long, default=0.0), 1),
        "long_task_share": round(sum(long) / sum(frames), 4),
    }


def main() -> int:
    """Print the figures as JSON."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        found = {}
        with serving(["-m", "tests.ui.fake_engine", "0", "long"], Path(folder) / "log") as address:
            for device, width, slower in (("laptop", 1360, 1), ("phone", 390, 4)):
                context = browser.new_context(viewport={"width": width, "height": 900})
                page = Visit(context.new_page(), address)
                context.new_cdp_session(page.page).send("Emulation.setCPUThrottlingRate", {"rate": slower})
                found[device] = measure(page)
                context.close()
        print(json.dumps(found, indent=1))
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
