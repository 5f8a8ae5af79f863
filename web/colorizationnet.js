import { app } from "/scripts/app.js";

// Nodes 2.0 takes the pictures of a node that has a VIDEO input for clips, unless it is told.
app.registerExtension({
  name: "ColorizationNet.ShotKeyframes",
  nodeCreated(node) {
    if (node.comfyClass === "ColorizationNetShotKeyframes") node.previewMediaType = "image";
  },
});
