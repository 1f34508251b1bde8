"""Text to token ids and back, as the files of language models say."""
import json
import pathlib

from ._error import Error

# What models end a text or a turn with, where no file says so.
_USUAL_ENDS = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end|>", "</s>")

# Kinds of tokens in a GGUF file.
_CONTROL, _USER_DEFINED = 3, 4

_SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"


def _need(package, what):
    try:
        return __import__(package)
    except ImportError:
        raise Error(f"{what} needs the package {package!r}") from None


def _splitter(kind):
    """What cuts a text before merges: of the kinds of BPE that GGUF names."""
    pre = _need("tokenizers", "text").pre_tokenizers
    byte_level = pre.ByteLevel(add_prefix_space=False)
    if kind in ("gpt-2", "default"):
        return byte_level
    if kind == "smollm":  # as GPT-2, with each digit on its own
        return pre.Sequence([pre.Digits(individual_digits=True), byte_level])
    raise Error(f"the tokenizer cuts text as {kind!r}, which is not supported; "
                "gpt-2 and smollm are: give the model's tokenizer.json")


def _from_gguf(path):
    """A tokenizer of the kind BPE on bytes, from the metadata of a GGUF file."""
    tokenizers = _need("tokenizers", "text")
    gguf = _need("gguf", f"reading {str(path)!r}")
    try:
        fields = gguf.GGUFReader(str(path)).fields
    except (OSError, ValueError) as error:
        raise Error(f"cannot read {str(path)!r}: {error}") from None

    def get(name, otherwise=None):
        field = fields.get("tokenizer." + name)
        return otherwise if field is None else field.contents()

    kind = get("ggml.model")
    if kind != "gpt2":
        raise Error(f"{str(path)!r} has a tokenizer of kind {kind!r}, only gpt2 is "
                    "supported: give the model's tokenizer.json")
    texts, kinds = get("ggml.tokens"), get("ggml.token_type", [])
    merges = [tuple(merge.split(" ", 1)) for merge in get("ggml.merges", [])]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(
        {text: number for number, text in enumerate(texts)}, merges))
    tokenizer.pre_tokenizer = _splitter(get("ggml.pre", "default"))
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    for of_kind, add in ((_CONTROL, tokenizer.add_special_tokens),
                         (_USER_DEFINED, tokenizer.add_tokens)):
        add([tokenizers.AddedToken(text, normalized=False)
             for text, kind in zip(texts, kinds) if kind == of_kind])
    if get("ggml.add_bos_token") and get("ggml.bos_token_id") is not None:
        first = texts[get("ggml.bos_token_id")]
        tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
            single=f"{first} $A", special_tokens=[(first, get("ggml.bos_token_id"))])
    end = get("ggml.eos_token_id")
    return tokenizer, [] if end is None else [end]


def _ends_beside(path, tokenizer):
    """What the files beside a tokenizer.json say that texts end with."""
    ends = []
    for name, key in (("generation_config.json", "eos_token_id"),
                      ("tokenizer_config.json", "eos_token")):
        try:
            said = json.loads((path.parent / name).read_text()).get(key)
        except (OSError, ValueError, AttributeError):
            continue
        for end in said if isinstance(said, list) else [said]:
            if isinstance(end, dict):
                end = end.get("content")
            ends.append(tokenizer.token_to_id(end) if isinstance(end, str) else end)
    return [end for end in ends if end is not None]


class TextStream:
    """Token ids to text, piece by piece.

    A piece is all that is sure: a character whose bytes are spread over tokens
    comes with the last of them.
    """

    def __init__(self, tokenizer):
        self._tokenizer = tokenizer
        self._ids = []
        self._start = self._shown = 0  # of what gives context, and of what is new

    def add(self, token):
        """What the token adds, which may be nothing yet."""
        self._ids.append(token)
        # Four bytes make a character: what is none after as many tokens is an
        # error of the model, and shown as one.
        return self._take(len(self._ids) - self._shown < 4)

    def end(self):
        """What is left, with a sign for what is no character."""
        return self._take(False)

    def _take(self, may_wait):
        # Decoders treat what a text begins with differently; so there is
        # always something before.
        before = self._tokenizer.decode(self._ids[self._start:self._shown])
        text = self._tokenizer.decode(self._ids[self._start:])
        if may_wait and text.endswith("\ufffd"):
            return ""
        self._start, self._shown = self._shown, len(self._ids)
        return text[len(before):]


class Tokenizer:
    """`path` is a tokenizer.json of Hugging Face, or a GGUF file with BPE on bytes."""

    def __init__(self, path):
        path = pathlib.Path(path)
        if path.suffix == ".gguf":
            self._tokenizer, ends = _from_gguf(path)
        else:
            tokenizers = _need("tokenizers", "text")
            try:
                self._tokenizer = tokenizers.Tokenizer.from_file(str(path))
            except Exception as error:  # the package raises nothing narrower
                raise Error(f"cannot read {str(path)!r}: {error}") from None
            ends = _ends_beside(path, self._tokenizer)
        # A GGUF file says one of them alone, and a folder may say none.
        if path.suffix == ".gguf" or not ends:
            usual = map(self._tokenizer.token_to_id, _USUAL_ENDS)
            ends = [*ends, *(end for end in usual if end is not None)]
        self.ends = sorted(set(ends))

    def encode(self, text, is_whole=True):
        """The ids of a text; names of special tokens in it stand for these. A text
        that is `is_whole` gets what the model wants at the beginning."""
        return self._tokenizer.encode(text, add_special_tokens=is_whole).ids

    def _encode_plain(self, text):
        """The same of a text that others wrote: names of tokens are letters."""
        self._tokenizer.encode_special_tokens = True
        try:
            return self.encode(text, is_whole=False)
        finally:
            self._tokenizer.encode_special_tokens = False

    def decode(self, ids):
        """The text of ids, without special tokens; U+FFFD for what is none."""
        return self._tokenizer.decode(ids)

    def stream(self):
        return TextStream(self)

    def _turn_tokens(self):
        marks = [self._tokenizer.token_to_id(mark)
                 for mark in ("<|im_start|>", "<|im_end|>")]
        if None in marks:
            raise Error("the tokenizer has no <|im_start|> and <|im_end|>: chats are "
                        "supported for models that use ChatML")
        return marks

    def turn(self, role, text):
        """A message as ChatML has it: who says what."""
        start, end = self._turn_tokens()
        return [start, *self._encode_plain(f"{role}\n{text}"), end,
                *self._encode_plain("\n")]

    def answer(self):
        """The beginning of a message that the model writes."""
        return [self._turn_tokens()[0], *self._encode_plain("assistant\n")]

    def chat_start(self, system=None):
        """The first message; the usual one of SmolLM2 unless `system` says
        another."""
        return self.turn("system", _SYSTEM if system is None else system)

    def next_turn(self, ids, text):
        """The ids of a chat, with what its user says now and the beginning of the
        answer. An answer that did not end before is ended."""
        end = self._turn_tokens()[1]
        ids = list(ids)
        newline = self._encode_plain("\n")
        if ids[-1] == end:
            ids += newline
        elif ids[-len(newline):] != newline or ids[-len(newline) - 1] != end:
            ids += [end, *newline]
        return ids + self.turn("user", text) + self.answer()
