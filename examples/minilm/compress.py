"""Compresses all-MiniLM-L6-v2 by recipes and prints what that does to the sentence similarities.

    python compress.py FOLDER     (with model.onnx and package/, as demo.sh makes it)
"""
import json
import pathlib
import sys

import numpy as np

import tenon
from embed import SENTENCES, embed, load_tokenizer

INT8 = [{"node": "*/dense/MatMul", "weights": "int8"}, {"node": "*/self/*/MatMul", "weights": "int8"}]


def narrow(width):
    """Every feed-forward layer keeps its `width` strongest channels of 1536."""
    return [{"node": "*/intermediate/dense/MatMul", "width": width}]


RECIPES = {
    "f32": [],
    "int8": INT8,
    "width 1280": narrow(1280),
    "width 1152": narrow(1152),
    "width 768": narrow(768),
    "int8, width 1280": INT8 + narrow(1280),
}


def main(folder):
    folder = pathlib.Path(folder)
    tokenizer = load_tokenizer(folder)
    exact = None
    print("recipe                weights   MFLOP at 1x128   worst cosine   largest change of a similarity")
    for name, nodes in RECIPES.items():
        stem = name.replace(",", "").replace(" ", "-")
        recipe = folder / f"{stem}.json"
        recipe.write_text(json.dumps({"tenon_recipe": 1, "nodes": nodes}, indent=1) + "\n")
        artifact = tenon.compile(folder / "model.onnx", folder / f"minilm-{stem}.so", recipe=recipe)
        info = tenon.info(artifact, {"batch": 1, "sequence": 128})
        vectors = embed(tenon.Session(artifact, threads=2), tokenizer, SENTENCES)
        exact = vectors if exact is None else exact
        cosine = (vectors * exact).sum(1).min()
        change = np.abs(vectors @ vectors.T - exact @ exact.T).max()
        print(f"{name:18} {info['weight_bytes'] / 1e6:7.1f} MB {info['flops'] / 1e6:13.0f} "
              f"{cosine:16.5f} {change:16.5f}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
