"""Writes model.onnx and model.onnx.data from the graph and the published weights.

    python make_model.py WEIGHTS.safetensors OUT_FOLDER
"""
import json
import pathlib
import shutil
import sys

import numpy as np
from safetensors import safe_open

HERE = pathlib.Path(__file__).parent


def main(weights, out):
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    table = json.loads((HERE / "weights.json").read_text())
    partial = out / "model.onnx.data.part"
    with safe_open(weights, "numpy") as tensors, open(partial, "wb") as data:
        for name, entry in sorted(table.items(), key=lambda item: item[1]["offset"]):
            values = tensors.get_tensor(entry["tensor"]).astype(np.float32)
            if entry["transpose"]:
                values = values.T
            if list(values.shape) != entry["shape"]:
                sys.exit(f"{entry['tensor']} is {values.shape}, but the graph wants {entry['shape']} for {name}")
            data.seek(entry["offset"])
            data.write(np.ascontiguousarray(values).tobytes())
    partial.rename(out / "model.onnx.data")
    shutil.copy(HERE / "graph.onnx", out / "model.onnx")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
