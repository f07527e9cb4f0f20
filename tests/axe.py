"""Run axe-core on a page of a real browser: on a phone and at a desk, light and dark."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from playwright.sync_api import Page

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
WIDTHS = (360, 1440)
RULES: Mapping[str, Mapping[str, Any]] = {
    "light": {"resultTypes": ["violations"]},
    "dark": {"resultTypes": ["violations"], "runOnly": ["color-contrast"]},
}
"""All rules; in the other scheme those of colours, which alone differ there."""


def violations(page: Page) -> list[str]:
    """Return what breaks a rule of axe-core, WCAG A and AA and its best practices: width, scheme, rule, element."""
    page.wait_for_load_state("networkidle")
    page.evaluate(AXE)
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in RULES:
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for rule in page.evaluate("(options) => axe.run(options)", RULES[scheme])["violations"]:
                found += [
                    f"{width} {scheme} {rule['id']}: {node['html'][:160]} ({node['failureSummary']})"
                    for node in rule["nodes"]
                ]
    return found
