"""python -m tenon generate: text behind text."""
import argparse
import pathlib
import sys

from ._cache import compile_cached
from ._error import Error
from ._generator import Generator
from ._tokenizer import Tokenizer


def add_arguments(parser):
    parser.add_argument("file", help="an artifact of `tenon compile --decoder`, or a model, "
                        "which is compiled into the cache")
    parser.add_argument("--tokenizer", required=True, metavar="FILE",
                        help="the model's tokenizer.json, or a GGUF file")
    parser.add_argument("--prompt", metavar="TEXT",
                        help="what to go on from; of a chat, what is said first")
    parser.add_argument("--chat", action="store_true",
                        help="read what the user says line by line, and answer (ChatML)")
    parser.add_argument("--system", metavar="TEXT", help="the first message of a chat")
    parser.add_argument("--max-tokens", type=int, default=128, metavar="N",
                        help="of the text, or of each answer (128)")
    parser.add_argument("--temperature", type=float, default=0.0, metavar="T",
                        help="0: the most probable token each time (0)")
    parser.add_argument("--top-k", type=int, default=0, metavar="K")
    parser.add_argument("--top-p", type=float, default=1.0, metavar="P")
    parser.add_argument("--repetition-penalty", type=float, default=1.0, metavar="R")
    parser.add_argument("--seed", type=int, default=0, metavar="S")
    parser.add_argument("--speculate", type=int, default=0, metavar="K",
                        help="draft up to K tokens from the text; changes only the time (0)")
    parser.add_argument("--capacity", type=int, metavar="N",
                        help="tokens of the context (what is needed; of a chat 2048)")
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="0: one per core (0)")
    parser.add_argument("--rates", action="store_true", help="say at the end how fast it was")


def _options(arguments, tokenizer):
    return {"max_tokens": arguments.max_tokens, "stop": tokenizer.ends,
            "temperature": arguments.temperature, "top_k": arguments.top_k,
            "top_p": arguments.top_p, "repetition_penalty": arguments.repetition_penalty,
            "seed": arguments.seed, "speculate": arguments.speculate}


def write(tokenizer, tokens, out):
    """Writes tokens as text while they come."""
    stream = tokenizer.stream()
    for token in tokens:
        out.write(stream.add(token))
        out.flush()
    out.write(stream.end() + "\n")
    out.flush()


def _lines(first):
    """What the user says: `first`, then lines until there are no more."""
    if first is not None:
        yield first
    is_terminal = sys.stdin.isatty()
    while True:
        if is_terminal:
            print("> ", end="", flush=True)
        line = sys.stdin.readline()
        if not line:
            return
        if line.strip():
            yield line.rstrip("\n")


def chat(generator, tokenizer, lines, system, options, out):
    """Answers each line. What was said before stays in the context, and is not
    computed again."""
    generator.set_options(**options)
    ids = tokenizer.chat_start(system)
    for line in lines:
        write(tokenizer, generator.generate(tokenizer.next_turn(ids, line)), out)
        ids = generator.tokens()


def _print_rates(generator):
    counts = generator.statistics
    rates = [tokens * 1e9 / nanoseconds if nanoseconds else 0.0 for tokens, nanoseconds in
             ((counts.prompt_tokens, counts.prompt_nanoseconds),
              (counts.decoded_tokens, counts.decode_nanoseconds))]
    print(f"prompt {counts.prompt_tokens} tokens, {rates[0]:.1f} tokens/s; generated "
          f"{counts.generated_tokens} tokens, {rates[1]:.1f} tokens/s; {counts.accepted} of "
          f"{counts.drafted} drafted tokens accepted", file=sys.stderr)


def run(arguments):
    if arguments.prompt is None and not arguments.chat:
        raise Error("--prompt is not given; --chat does without")
    if arguments.system is not None and not arguments.chat:
        raise Error("--system belongs to --chat")
    if not (arguments.max_tokens or arguments.capacity or arguments.chat):
        raise Error("without a number of --max-tokens, --capacity must be given")
    tokenizer = Tokenizer(arguments.tokenizer)
    options = _options(arguments, tokenizer)
    prompt = [] if arguments.chat else tokenizer.encode(arguments.prompt)
    if not arguments.chat and not prompt:
        raise Error("the prompt has no token")
    capacity = arguments.capacity or (
        2048 if arguments.chat else len(prompt) + arguments.max_tokens)
    artifact = pathlib.Path(arguments.file)
    if artifact.suffix == ".onnx":
        artifact = compile_cached(artifact, decoder=True)
    generator = Generator(artifact, capacity, threads=arguments.threads)
    try:
        if arguments.chat:
            chat(generator, tokenizer, _lines(arguments.prompt), arguments.system, options,
                 sys.stdout)
        else:
            write(tokenizer, generator.generate(prompt, **options), sys.stdout)
    finally:
        if arguments.rates:
            _print_rates(generator)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m tenon")
    commands = parser.add_subparsers(dest="command", required=True)
    add_arguments(commands.add_parser("generate", help="go on with a text, or answer in a chat"))
    try:
        run(parser.parse_args(arguments))
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        return 130
    return 0
