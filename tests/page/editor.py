"""ComfyUI's page as a user has it: templates, the node search, Run, what the nodes show."""

import base64
import json
import time
from itertools import count
from urllib.request import Request, urlopen

PACK = "colorizationnet"
LOADED = "window.app?.extensionManager && window.app.graph && window.app.canvas"
RUN_TIMEOUT = 600
SATURATIONS = (1 + step / 100 for step in count(1))

# Left, top, right, bottom of each node on the canvas, with all that it shows.
BOXES = """() => {
  const {scale, offset} = app.canvas.ds
  const canvas = app.canvas.canvas.getBoundingClientRect()
  const found = {}
  for (const node of app.graph.nodes) {
    const title = LiteGraph.NODE_TITLE_HEIGHT
    let box = [node.pos[0], node.pos[1] - title, node.pos[0] + node.size[0],
               node.pos[1] + node.size[1]]
    const shown = [...document.querySelectorAll(`.lg-node[data-node-id="${node.id}"]`)]
    if (shown.length) box = [Infinity, Infinity, -Infinity, -Infinity]
    else for (const widget of node.widgets ?? []) if (widget.element) shown.push(widget.element)
    for (const element of shown) {
      const seen = element.getBoundingClientRect()
      if (!seen.width || !seen.height) continue
      const left = (seen.left - canvas.left) / scale - offset[0]
      const top = (seen.top - canvas.top) / scale - offset[1]
      box = [Math.min(box[0], left), Math.min(box[1], top),
             Math.max(box[2], left + seen.width / scale),
             Math.max(box[3], top + seen.height / scale)]
    }
    found[`${node.id} ${node.type}`] = box
  }
  return found
}"""
# The width in pixels of the widest picture or clip that each node shows; 0 for one that failed.
MEDIA = """() => Object.fromEntries(app.graph.nodes.map(node => {
  const shown = document.querySelectorAll(`.lg-node[data-node-id="${node.id}"] :is(img, video)`)
  const media = [...shown, ...(node.imgs ?? []),
                 ...(node.videoContainer?.querySelectorAll("video") ?? [])]
  for (const widget of node.widgets ?? [])
    if (widget.element) media.push(...widget.element.querySelectorAll("img, video"))
  const widths = media.map(one => one.naturalWidth ?? one.videoWidth ?? 0)
  return [`${node.id} ${node.type}`, Math.max(0, ...widths)]
}))"""
PROBLEMS = """() => app.graph.nodes
  .filter(node => node.has_errors || !(node.type in LiteGraph.registered_node_types))
  .map(node => node.type)"""
DROP = """([name, type, content]) => {
  const bytes = Uint8Array.from(atob(content), c => c.charCodeAt(0))
  const data = new DataTransfer()
  data.items.add(new File([bytes], name, {type}))
  const place = {bubbles: true, cancelable: true, clientX: 500, clientY: 800, dataTransfer: data}
  for (const kind of ["dragenter", "dragover", "drop"])
    app.canvas.canvas.dispatchEvent(new DragEvent(kind, place))
}"""


class Editor:
    """A page of its own; ``errors`` are what its console says of this machine's files."""

    def __init__(self, browser, server, rendering="classic", language="en"):
        self.server, self.errors = server, []
        settings = {
            "Comfy.TutorialCompleted": True,
            "Comfy.VueNodes.Enabled": rendering != "classic",
            "Comfy.Locale": language,
            "Comfy.Workflow.Persist": False,
        }
        self.ask("settings", settings)
        self.page = browser.new_page(viewport={"width": 1600, "height": 950})
        self.page.goto(server)
        self.page.wait_for_function(LOADED, timeout=120_000)
        # What ComfyUI's own default workflow lacks is told of by now.
        self.page.wait_for_load_state("networkidle")
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self._note(str(error)))

    def _hear(self, message):
        # Pages of ComfyUI's makers cannot be reached from a machine without network.
        if message.type == "error" and "net::ERR" not in message.text:
            self._note(message.text)

    def _note(self, error):
        # The search of front-end 1.37 stumbles over its own box when it closes.
        if "onOptionSelect" not in error:
            self.errors.append(error)

    def close(self):
        self.page.close()

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.server}/{path}", data, {"Content-Type": "application/json"})
        with urlopen(request) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def command(self, name):
        self.page.evaluate("name => app.extensionManager.command.execute(name)", name)

    def template(self, name):
        """Open a template of the pack."""
        self.choose(name)
        self.page.wait_for_function("app.graph.nodes.some(node => node.type == 'MarkdownNote')")
        self.settle()

    def choose(self, name):
        """Click on a template of the pack where the editor lists them."""
        self.command("Comfy.BrowseTemplates")
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_text(PACK, exact=True).first.click()
        dialog.get_by_test_id(f"template-workflow-{name}").click()
        dialog.filter(has_text=PACK).wait_for(state="detached")

    def settle(self):
        """Wait until no box changes any more."""
        before, since = None, time.monotonic()
        deadline = since + 30
        while time.monotonic() < deadline:
            boxes = self.boxes()
            if boxes != before:
                before, since = boxes, time.monotonic()
            elif time.monotonic() - since > 1.5:
                return
            self.page.wait_for_timeout(100)

    def boxes(self):
        return self.page.evaluate(BOXES)

    def media(self):
        return self.page.evaluate(MEDIA)

    def awake(self):
        """The nodes that are neither muted nor bypassed, as `boxes` names them."""
        nodes = "app.graph.nodes.filter(n => n.mode == 0).map(n => `${n.id} ${n.type}`)"
        return self.page.evaluate(nodes)

    def problems(self):
        return self.page.evaluate(PROBLEMS)

    def types(self):
        return sorted(self.page.evaluate("app.graph.nodes.map(node => node.type)"))

    def set(self, node, widget, value):
        change = """([type, name, value]) => {
          const node = app.graph.nodes.find(node => node.type == type)
          node.widgets.find(widget => widget.name == name).value = value
        }"""
        self.page.evaluate(change, [node, widget, value])

    def vary(self, node):
        """Another saturation than ever before, so that ComfyUI has no result of it yet."""
        self.set(node, "saturation", next(SATURATIONS))

    def press_run(self):
        """Start the workflow; gives its number."""
        before = set(self.ask("history"))
        self.page.get_by_test_id("queue-button").first.click()
        self.wait(lambda: set(self.ask("history")) - before or self.ask("queue")["queue_running"])
        return before

    def run(self):
        """Run to the end; gives the entry of the history."""
        before = self.press_run()
        self.wait(lambda: set(self.ask("history")) - before)
        (number,) = set(self.ask("history")) - before
        self.settle()
        return self.ask("history")[number]

    def wait(self, true):
        deadline = time.monotonic() + RUN_TIMEOUT
        while not (found := true()):
            assert time.monotonic() < deadline
            self.page.wait_for_timeout(200)
        return found

    def search(self, word):
        """Names of the nodes that the search lists for ``word``, in its order."""
        if self.types():
            self.command("Comfy.NewBlankWorkflow")
            self.wait(lambda: self.types() == [])
        self.command("Workspace.SearchBox.Toggle")
        self.page.wait_for_function("document.activeElement?.tagName == 'INPUT'")
        self.page.keyboard.type(word)
        self.page.get_by_role("option").first.wait_for()
        self.page.wait_for_timeout(700)  # the list follows the keys with a delay
        names = self.page.get_by_role("option").all_inner_texts()
        self.page.keyboard.press("Escape")
        self.page.get_by_role("option").first.wait_for(state="detached")
        return [name.strip().splitlines()[0].strip() for name in names if name.strip()]

    def drop(self, path, kind):
        """Drop a file on the canvas."""
        content = base64.b64encode(path.read_bytes()).decode()
        self.page.evaluate(DROP, [path.name, kind, content])

    def text(self):
        return self.page.locator("body").inner_text()
