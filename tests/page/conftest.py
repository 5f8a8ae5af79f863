"""ComfyUI's page in a real browser.

COMFYUI_DIR names a ComfyUI checkout (COMFYUI_PYTHON its Python, COMFYUI_FRONTEND the folder of
another front end's ``index.html``); the browser is Chromium, driven by playwright.
"""

import os
import shutil

import pytest
from editor import Editor
from real_comfyui import base_folder, running

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    return base_folder(tmp_path_factory.mktemp("comfyui"))


@pytest.fixture(scope="session")
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("there is no Chromium here")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def server(base, browser):
    options = []
    if "COMFYUI_FRONTEND" in os.environ:
        options = ["--front-end-root", os.environ["COMFYUI_FRONTEND"]]
    with running(base, *options) as address:
        yield address


@pytest.fixture(scope="session", params=["classic", "nodes 2.0"])
def rendering(request):
    return request.param


@pytest.fixture
def editor(server, browser, rendering):
    editor = Editor(browser, server, rendering)
    yield editor
    editor.close()
