"""Templates and the Pose Pad in older and newer pages of ComfyUI, classic and Nodes 2.0, in English and Chinese.

Only where COMFYUI_FRONTENDS names folders of such pages, as tests/run.py --frontends 1.32.9 1.58.1 does.
"""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from comfy_page import comfy_page, show_as_vue
from test_pose_pad import drag, prompt_of, show_pad, wrist
from test_templates import NAMES, open_and_look

REPO = Path(__file__).resolve().parents[2]
PAGES = [Path(folder) for folder in os.environ.get("COMFYUI_FRONTENDS", "").split(os.pathsep) if folder]
CHINESE = re.compile("[\u4e00-\u9fff]")
# From which on the page shows Chinese names of custom nodes.
NAMES_NODES_IN_CHINESE = (1, 33, 14)


def version_of(page: Path) -> tuple[int, ...]:
    (found,) = page.parents[1].glob("comfyui_frontend_package-*.dist-info")
    return tuple(map(int, found.name.split("-")[1].removesuffix(".dist").split(".")[:3]))


@pytest.fixture(scope="module", params=PAGES, ids=lambda page: page.parents[1].name)
def server(request, tmp_path_factory):
    """A ComfyUI that serves one of these pages."""
    import tiny_models
    from comfy_server import ComfyServer
    from comfy_setup import CPU_ARGUMENTS, Installation, make_base

    base = make_base(tmp_path_factory.mktemp("frontend"))
    tiny_models.write(base / "models")
    for path in (REPO / "demo" / "inputs").iterdir():
        shutil.copy(path, base / "input")
    installation = Installation(Path(os.environ["COMFYUI_PATH"]), Path(sys.executable))
    with ComfyServer(installation, base, (*CPU_ARGUMENTS, "--front-end-root", str(request.param))) as server:
        server.frontend = version_of(request.param)
        yield server


@pytest.fixture(scope="module", params=["en", "zh"])
def page(request, server):
    with comfy_page(server, Comfy_Locale=request.param) as page:
        page.language = request.param
        yield page


@pytest.mark.parametrize("as_vue", [False, True], ids=["classic", "Nodes 2.0"])
@pytest.mark.parametrize("name", NAMES)
def test_template_opens_in_other_pages(server, page, name, as_vue):
    titles = [title for kind, title in open_and_look(page, name, as_vue) if kind.startswith("EchoMimicV2")]
    is_chinese = page.language == "zh" and server.frontend >= NAMES_NODES_IN_CHINESE
    assert titles and [bool(CHINESE.search(title)) for title in titles] == [is_chinese] * len(titles)


@pytest.mark.parametrize("as_vue", [False, True], ids=["classic", "Nodes 2.0"])
def test_pad_is_dragged_and_undone_in_other_pages(page, as_vue):
    show_as_vue(page, as_vue)
    show_pad(page, prompt_of())
    before = wrist(page)
    drag(page, "wrist 1", -30, 40)
    after = wrist(page)
    assert after[0] < before[0] - 15 and after[1] > before[1] + 20
    page.keyboard.press("Control+z")
    assert wrist(page) == before
    page.keyboard.press("Control+y")
    assert wrist(page) == after
    show_as_vue(page, False)
