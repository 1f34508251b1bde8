#!/usr/bin/env python3
"""Makes the models of this folder: decoders with a past whose scores have a bias of positions, and decoders of
encoder-decoders, with random weights, by both exporters of PyTorch.

    test/e2e/models/export.py [NAME...]

Needs torch 2.15, transformers 5.23, onnx and onnxscript. Files are the same from run to run with these."""
import inspect
import os
import pathlib
import sys
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
warnings.filterwarnings("ignore")

import onnx
import torch
import transformers as tf
from transformers.cache_utils import DynamicCache, EncoderDecoderCache

FOLDER = pathlib.Path(__file__).resolve().parent
LAYERS, HEADS, HEAD, WIDTH, VOCABULARY, LENGTH = 2, 4, 8, 32, 64, 64


def randomize(model):
    """Weights with which outputs are neither flat nor wild."""
    generator = torch.Generator().manual_seed(20250)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if parameter.dim() >= 2:
            isTable = any(word in name for word in ("embed", "wte", "shared", "relative"))
            noise *= 0.5 if isTable else parameter.shape[1:].numel() ** -0.5
        elif name.endswith("weight"):
            noise = 1 + 0.1 * noise
        else:
            noise *= 0.1
        parameter.data.copy_(noise)
    return model.eval()


class Decoder(torch.nn.Module):
    """The cache as flat inputs and outputs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, *past):
        cache = DynamicCache()
        for layer in range(LAYERS):
            cache.update(past[2 * layer], past[2 * layer + 1], layer)
        output = self.model(input_ids=input_ids, attention_mask=attention_mask, past_key_values=cache, use_cache=True)
        return output.logits, *(part for layer in output.past_key_values.layers for part in (layer.keys, layer.values))


class CrossDecoder(torch.nn.Module):
    """The same with what an encoder gives: its states, or the keys and values that are made of them."""

    def __init__(self, decoder, head, isMasked, hasStates):
        super().__init__()
        self.decoder, self.head, self.isMasked, self.hasStates = decoder, head, isMasked, hasStates

    def forward(self, input_ids, *rest):
        rest, options = list(rest), {}
        if self.isMasked:
            options["encoder_attention_mask"] = rest.pop(0)
        states = rest.pop(0) if self.hasStates else torch.zeros(input_ids.shape[0], rest[2].shape[2], WIDTH)
        own, cross = DynamicCache(), DynamicCache()
        for layer in range(LAYERS):
            parts = rest[2 * layer:][:2] if self.hasStates else rest[4 * layer:][:4]
            own.update(*parts[:2], layer)
            if not self.hasStates:
                cross.update(*parts[2:], layer)
        cache = EncoderDecoderCache(own, cross)
        for layer in range(LAYERS):
            cache.is_updated[layer] = not self.hasStates
        output = self.decoder(input_ids=input_ids, encoder_hidden_states=states, past_key_values=cache,
                              use_cache=True, **options)
        layers = output.past_key_values.self_attention_cache.layers
        return self.head(output.last_hidden_state), *(part for layer in layers for part in (layer.keys, layer.values))


def past_names(kinds=("",)):
    return [f"past_key_values.{layer}.{kind}{part}" for layer in range(LAYERS) for kind in kinds
            for part in ("key", "value")]


def bloom(how, opset):
    config = tf.BloomConfig(vocab_size=VOCABULARY, hidden_size=WIDTH, n_layer=LAYERS, n_head=HEADS,
                            attn_implementation="eager")
    return causal(tf.BloomForCausalLM(config))


def mpt(how, opset):
    config = tf.MptConfig(vocab_size=VOCABULARY, d_model=WIDTH, n_layers=LAYERS, n_heads=HEADS, max_seq_len=LENGTH,
                          expansion_ratio=1)
    return causal(tf.MptForCausalLM(config))


def causal(model):
    inputs = {"input_ids": torch.ones(2, 3, dtype=torch.int64), "attention_mask": torch.ones(2, 8, dtype=torch.int64)}
    sizes = {"input_ids": {0: "batch", 1: "sequence"}, "attention_mask": {0: "batch", 1: "total"}}
    for name in past_names():
        inputs[name], sizes[name] = torch.randn(2, HEADS, 5, HEAD), {0: "batch", 2: "past"}
    return Decoder(randomize(model)), inputs, sizes


def t5(states):
    model = tf.T5ForConditionalGeneration(tf.T5Config(
        vocab_size=VOCABULARY, d_model=WIDTH, d_kv=HEAD, d_ff=WIDTH, num_layers=LAYERS, num_heads=HEADS,
        relative_attention_num_buckets=8, relative_attention_max_distance=20, tie_word_embeddings=False))
    randomize(model)
    return cross(model.decoder, model.lm_head, True, states)


SIZES = {"vocab_size": VOCABULARY, "d_model": WIDTH, "encoder_layers": 1, "decoder_layers": LAYERS,
         "encoder_attention_heads": HEADS, "decoder_attention_heads": HEADS, "encoder_ffn_dim": WIDTH,
         "decoder_ffn_dim": WIDTH}


def bart(states):
    model = randomize(tf.BartForConditionalGeneration(tf.BartConfig(**SIZES, max_position_embeddings=LENGTH)))
    return cross(model.model.decoder, model.lm_head, True, states)


def whisper(states):
    model = randomize(tf.WhisperForConditionalGeneration(tf.WhisperConfig(
        **SIZES, max_source_positions=16, max_target_positions=LENGTH, num_mel_bins=8, pad_token_id=0, bos_token_id=1,
        eos_token_id=2, decoder_start_token_id=1)))
    return cross(model.model.decoder, model.proj_out, False, states)


def cross(decoder, head, isMasked, hasStates):
    inputs, sizes = {"input_ids": torch.ones(2, 3, dtype=torch.int64)}, {"input_ids": {0: "batch", 1: "sequence"}}
    if isMasked:
        inputs["encoder_attention_mask"] = torch.ones(2, 7, dtype=torch.int64)
        sizes["encoder_attention_mask"] = {0: "batch", 1: "encoder_sequence"}
    if hasStates:
        inputs["encoder_hidden_states"] = torch.randn(2, 7, WIDTH)
        sizes["encoder_hidden_states"] = {0: "batch", 1: "encoder_sequence"}
    for name in past_names() if hasStates else past_names(("decoder.", "encoder.")):
        isEncoder = "encoder." in name.replace("decoder.", "")
        inputs[name] = torch.randn(2, HEADS, 7 if isEncoder else 5, HEAD)
        sizes[name] = {0: "batch", 2: "encoder_sequence" if isEncoder else "past"}
    return CrossDecoder(decoder, head, isMasked, hasStates), inputs, sizes


MODELS = {
    "bloom-dynamo20": (lambda: bloom("dynamo", 20), "dynamo", 20),
    "bloom-ts17": (lambda: bloom("ts", 17), "ts", 17),
    "mpt-ts17": (lambda: mpt("ts", 17), "ts", 17),
    "t5-past-ts17": (lambda: t5(False), "ts", 17),
    "t5-past-dynamo23": (lambda: t5(False), "dynamo", 23),
    "t5-states-dynamo20": (lambda: t5(True), "dynamo", 20),
    "bart-past-dynamo20": (lambda: bart(False), "dynamo", 20),
    "bart-states-ts17": (lambda: bart(True), "ts", 17),
    "whisper-past-ts17": (lambda: whisper(False), "ts", 17),
    "whisper-states-dynamo23": (lambda: whisper(True), "dynamo", 23),
}


def drop_notes(holder):
    """What exporters note of where they ran, and of modules."""
    holder.ClearField("doc_string")
    if hasattr(holder, "metadata_props"):
        del holder.metadata_props[:]


def export(name):
    make, how, opset = MODELS[name]
    model, inputs, sizes = make()
    outputs = ["logits", *(text.replace("past_key_values", "present") for text in inputs
                           if text.startswith("past") and ".encoder." not in text)]
    options = {"input_names": list(inputs), "output_names": outputs, "opset_version": opset}
    path = FOLDER / f"{name}.onnx"
    if how == "ts":
        sizes = {**sizes, "logits": {0: "batch", 1: "sequence"}, **{text: {0: "batch", 2: "total"} for text in outputs[1:]}}
        torch.onnx.export(model, tuple(inputs.values()), path, dynamic_axes=sizes, dynamo=False, **options)
    else:
        shapes = [sizes[text] for text in inputs]
        count = len(inspect.signature(model.forward).parameters) - 1
        torch.onnx.export(model, tuple(inputs.values()), dynamo=True, verbose=False,
                          dynamic_shapes=(*shapes[:count], tuple(shapes[count:])), **options).save(path)
    result = onnx.load(path)
    graph = result.graph
    for holder in (result, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer,
                   *result.functions):
        drop_notes(holder)
    del graph.value_info[:]
    for number, node in enumerate(graph.node):
        node.name = f"{node.op_type}_{number}"
    onnx.save(result, path)
    print(name, path.stat().st_size)


if __name__ == "__main__":
    torch.set_grad_enabled(False)
    for wanted in sys.argv[1:] or MODELS:
        torch.manual_seed(0)
        export(wanted)
