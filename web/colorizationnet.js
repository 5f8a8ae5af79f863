import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";

// Nodes 2.0 takes the pictures of a node that has a VIDEO input for clips, unless it is told.
const PICTURES = ["ColorizationNetShotKeyframes", "ColorizationNetColorizeVideo"];

app.registerExtension({
  name: "ColorizationNet.Pictures",
  nodeCreated(node) {
    if (PICTURES.includes(node.comfyClass)) node.previewMediaType = "image";
  },
});

// Front-end 1.37 takes what a node without a VIDEO input shows for pictures.
const SAVER = "ColorizationNetSaveVideo";

app.registerExtension({
  name: "ColorizationNet.SaveVideoFrames",
  nodeCreated(node) {
    if (node.comfyClass !== SAVER) return;
    const executed = node.onExecuted;
    node.onExecuted = function (output) {
      const clip = /\.(mp4|webm|mkv|mov)$/.test(output?.images?.[0]?.filename ?? "");
      node.previewMediaType = clip ? "video" : "image";
      return executed?.apply(this, arguments);
    };
  },
});

// The loader's widgets say what their 0 stands for with the clip that is chosen.
const LOADER = "ColorizationNetLoadVideo";

async function describe(node) {
  const widgets = Object.fromEntries(node.widgets.map((widget) => [widget.name, widget]));
  const file = widgets.file.value;
  if (!file) return;
  const answer = await api.fetchApi(
    `/colorizationnet/describe/${LOADER}?file=${encodeURIComponent(file)}`,
  );
  const clip = answer.ok ? await answer.json() : {};
  if (widgets.file.value !== file) return; // another was chosen meanwhile
  for (const name of ["frame_count", "rate", "short_side"]) {
    const widget = widgets[name];
    widget.plainLabel ??= widget.label ?? name;
    widget.label = name in clip ? `${widget.plainLabel} (0 = ${clip[name]})` : widget.plainLabel;
  }
  node.setDirtyCanvas(true);
}

app.registerExtension({
  name: "ColorizationNet.LoadVideoFrames",
  nodeCreated(node) {
    if (node.comfyClass !== LOADER) return;
    const file = node.widgets.find((widget) => widget.name === "file");
    const chosen = file.callback;
    file.callback = function (...values) {
      describe(node);
      return chosen?.apply(this, values);
    };
    setTimeout(() => describe(node)); // a loaded workflow gives its value after this
  },
});

// Our templates' notes are read in the language of the page, as long as nobody has changed them.
let texts;

const filled = (text, graph) =>
  text.replace(/\{(\w+)(?:\.(\w+))?\}/g, (whole, type, name) => {
    const node = graph.nodes.find((one) => one.type === type);
    const widget = name && node?.widgets?.find((one) => one.name === name);
    return name ? (widget?.label ?? name) : (node?.title ?? whole);
  });

async function translate(graph) {
  const language = app.extensionManager.setting.get("Comfy.Locale");
  const notes = graph.nodes.filter((node) => node.type === "MarkdownNote");
  if (!notes.length || language === "en") return;
  texts ??= await (await api.fetchApi("/i18n")).json();
  const [english, own] = ["en", language].map((one) => texts[one]?.colorizationnet?.notes ?? {});
  for (const [name, { title, text }] of Object.entries(english)) {
    const words = text.split(/\{[\w.]+\}/).map((part) => part.replace(/[^\w\s]/g, "\\$&"));
    const shipped = new RegExp(`^${words.join(".+?")}$`);
    for (const note of notes) {
      if (!(name in own) || note.title !== title || !shipped.test(note.widgets[0].value)) continue;
      note.title = own[name].title;
      note.widgets[0].value = filled(own[name].text, graph);
    }
  }
}

app.registerExtension({
  name: "ColorizationNet.Notes",
  afterConfigureGraph: () => translate(app.graph),
});
