"""ComfyUI's own page in a real Chromium."""

import json
import os
from contextlib import contextmanager

READY = "window.app?.extensionManager && window.app.graph?._nodes && document.querySelector('canvas')"
SETTINGS = {
    "Comfy.TutorialCompleted": True,
    "Comfy.Minimap.Visible": False,
    "Comfy.Workflow.ShowMissingModelsWarning": False,
    "LiteGraph.Canvas.MinFontSizeForLOD": 0,  # Text stays readable in pictures of large graphs
}
# --no-sandbox: Chromium refuses to start as root, which containers and CI are, with its sandbox.
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@contextmanager
def comfy_page(server):
    """A page of a running ComfyServer, ready to use; every request to elsewhere is refused at once."""
    from playwright.sync_api import sync_playwright

    for name, value in SETTINGS.items():
        server.post(f"/api/settings/{name}", value)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=CHROMIUM_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.route(lambda url: not url.startswith(server.url), lambda route: route.abort())
        page.goto(server.url)
        page.wait_for_function(READY, timeout=60_000)
        page.wait_for_timeout(1500)
        page.keyboard.press("Escape")  # The template browser of a first visit
        yield page
        browser.close()


def load_workflow(page, workflow: dict) -> None:
    """Open a workflow as saved by the page."""
    page.evaluate("async workflow => { await window.app.loadGraphData(workflow) }", workflow)
    page.wait_for_function("count => window.app.graph._nodes.length === count", arg=len(workflow["nodes"]))


def to_prompt(page) -> dict:
    """What pressing Run would send: {"output": API form, "workflow": file form}."""
    return json.loads(page.evaluate("async () => JSON.stringify(await window.app.graphToPrompt())"))


def fit_view(page) -> None:
    page.evaluate("() => window.app.extensionManager.command.execute('Comfy.Canvas.FitView')")
    page.wait_for_timeout(1000)


def show_as_vue(page, on: bool) -> None:
    """Nodes 2.0 or the classic canvas."""
    page.evaluate("async on => await window.app.ui.settings.setSettingValueAsync('Comfy.VueNodes.Enabled', on)", on)
    page.wait_for_timeout(1500)
