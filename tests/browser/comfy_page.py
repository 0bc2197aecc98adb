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
RUN_SECONDS = 240
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@contextmanager
def comfy_page(server, **settings):
    """A page of a running ComfyServer, ready to use; every request to elsewhere is refused at once.

    settings : of ComfyUI's page, with _ for each dot of their names. page.complaints : what went wrong in the page.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.environ["CHROMIUM"], args=CHROMIUM_ARGUMENTS)
        page = browser.new_page(viewport={"width": 1600, "height": 900})
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("console", lambda said: is_ours(said) and page.complaints.append(said.text))
        page.route(lambda url: not url.startswith(server.url), lambda route: route.abort())
        visit(page, server, **{**SETTINGS, **settings})
        yield page
        browser.close()


def visit(page, server, **settings) -> None:
    """Load the page, with settings as in `comfy_page`."""
    for name, value in settings.items():
        server.post(f"/api/settings/{name.replace('_', '.')}", value)
    page.goto("about:blank")
    page.goto(server.url)
    page.wait_for_function(READY, timeout=60_000)
    page.wait_for_timeout(1500)
    page.keyboard.press("Escape")  # The template browser of a first visit


def is_ours(said) -> bool:
    """Whether an error or a warning of the console is of one of our scripts."""
    return said.type in ("error", "warning") and "extensions/echomimicv2" in f"{said.text} {said.location}"


def load_workflow(page, workflow: dict) -> None:
    """Open a workflow as saved by the page."""
    page.evaluate("async workflow => { await window.app.loadGraphData(workflow) }", workflow)
    page.wait_for_function("count => window.app.graph._nodes.length === count", arg=len(workflow["nodes"]))


def open_template(page, name: str) -> None:
    """Open a template of ours as an artist does: from the list that the page shows of each pack."""
    page.evaluate("() => window.app.extensionManager.command.execute('Comfy.BrowseTemplates')")
    page.get_by_text("echomimicv2", exact=True).last.click()
    page.get_by_text(name, exact=True).last.click()
    page.wait_for_function("() => !document.querySelector('[role=dialog]') && window.app.graph._nodes.length > 5")
    page.wait_for_timeout(500)


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


def set_values(page, values: dict[str, dict]) -> None:
    """Set widgets by the types of their nodes and their names."""
    page.evaluate(
        """values => {
            for (const node of window.app.graph._nodes)
                for (const widget of node.widgets ?? [])
                    if (widget.name in (values[node.type] ?? {})) widget.value = values[node.type][widget.name];
        }""",
        values,
    )


def run(page) -> None:
    """Press Run and wait; AssertionError with ComfyUI's own words where it fails."""
    page.evaluate(
        """() => {
            window.outcome = null;
            for (const name of ["execution_success", "execution_error", "execution_interrupted"])
                window.app.api.addEventListener(name, event => { window.outcome ??= [name, event.detail] });
        }"""
    )
    # What an older page has to say about its age lies over the button.
    for close in page.locator(".p-toast-close-button").all():
        close.click()
    page.locator(".p-toast-message").first.wait_for(state="detached")
    page.get_by_role("button", name="Run", exact=True).first.click()
    page.wait_for_function("() => window.outcome", timeout=RUN_SECONDS * 1000)
    outcome, detail = page.evaluate("() => window.outcome")
    assert outcome == "execution_success", detail.get("exception_message")


def red_nodes(page) -> list[str]:
    """Types of the nodes that the page marks as faulty or does not know."""
    return page.evaluate("() => window.app.graph._nodes.filter(n => n.has_errors || !n.type).map(n => n.type)")


BOXES = """() => window.app.graph._nodes.map(node => {
    const [x, y, width, height] = node.getBounding();
    return [`${node.id} ${node.title}`, x, y, width, height];
})"""
VUE_BOXES = """() => [...document.querySelectorAll('[data-node-id]')].map(element => {
    const box = element.getBoundingClientRect();
    return [element.dataset.nodeId, box.x, box.y, box.width, box.height];
})"""


def boxes(page, as_vue: bool = False) -> list:
    """(name, x, y, width, height) of each node as it is drawn."""
    return page.evaluate(VUE_BOXES if as_vue else BOXES)


def overlaps(boxes: list) -> list:
    """Pairs of names whose boxes (x, y, width, height) share more than a border."""
    found = []
    for index, (name, x, y, width, height) in enumerate(boxes):
        for other, left, top, wide, tall in boxes[index + 1 :]:
            if x + width > left + 1 and left + wide > x + 1 and y + height > top + 1 and top + tall > y + 1:
                found.append((name, other))
    return found
