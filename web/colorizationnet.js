import { app } from "/scripts/app.js";
import { api } from "/scripts/api.js";

// Nodes 2.0 takes the pictures of a node that has a VIDEO input for clips, unless it is told.
app.registerExtension({
  name: "ColorizationNet.ShotKeyframes",
  nodeCreated(node) {
    if (node.comfyClass === "ColorizationNetShotKeyframes") node.previewMediaType = "image";
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
