#!/usr/bin/env python3
"""Exports the two models of docs/performance.md that nobody publishes as files of this form.

    scripts/export_models.py gpt2|vit FOLDER

gpt2: GPT-2 124M without cache, ids to logits, sizes batch and sequence. vit: a vision transformer of
base size (86M), 224x224 pixels in patches of 16, size batch. Weights are random, which changes no time.
FOLDER/model.onnx is by the TorchScript exporter at opset 17. Needs torch and transformers."""
import argparse
import pathlib

import torch
import transformers


class Logits(torch.nn.Module):
    """What the exporter shall see of a language model: ids in, logits out."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        # Without a mask transformers looks for packed sequences, which the exporter cannot write.
        return self.model(input_ids, attention_mask=torch.ones_like(input_ids), use_cache=False).logits


class Hidden(torch.nn.Module):
    """Pixels in, last hidden state out."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        return self.model(pixel_values).last_hidden_state


def gpt2():
    config = transformers.GPT2Config(attn_implementation="eager")
    ids = torch.randint(0, config.vocab_size, (2, 16))
    return Logits(transformers.GPT2LMHeadModel(config)), ids, "input_ids", {0: "batch", 1: "sequence"}, "logits"


def vit():
    config = transformers.ViTConfig(attn_implementation="eager")
    model = transformers.ViTModel(config, add_pooling_layer=False)
    return Hidden(model), torch.randn(2, 3, 224, 224), "pixel_values", {0: "batch"}, "last_hidden_state"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", choices=["gpt2", "vit"])
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    torch.manual_seed(1)
    model, example, name, sizes, result = {"gpt2": gpt2, "vit": vit}[arguments.model]()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    path = arguments.folder / "model.onnx"
    with torch.no_grad():
        torch.onnx.export(model.eval(), (example,), str(path), dynamo=False, opset_version=17, input_names=[name],
                          output_names=[result], dynamic_axes={name: sizes, result: sizes})
    print(f"{path}: {path.stat().st_size / 1e6:.0f} MB")


if __name__ == "__main__":
    main()
