"""Reads modules in MLIR's generic form, as tenon-opt --mlir-print-op-generic
prints them.

Attributes become numbers, strings, lists, dictionaries and numpy arrays; types
and what has no such form stay text.
"""
import re

import numpy as np

_FLOATS = {"f16": np.float16, "f32": np.float32, "f64": np.float64}
_NARROW = {
    "bf16": "bfloat16", "f8E4M3FN": "float8_e4m3fn", "f8E4M3FNUZ": "float8_e4m3fnuz", "f8E5M2": "float8_e5m2",
    "f8E5M2FNUZ": "float8_e5m2fnuz", "f4E2M1FN": "float4_e2m1fn", "ui4": "uint4", "si4": "int4", "i4": "int4",
    "ui2": "uint2", "si2": "int2", "i2": "int2"}
_NUMBER = re.compile(r"0x[0-9A-Fa-f]+|[-+]?\d+(?:\.\d*(?:[eE][-+]?\d+)?)?")
_WORD = re.compile(r"[%#^@!]?[\w$.\-]+(?:#\d+)?|\"(?:[^\"\\]|\\.)*\"")
_SPACE = re.compile(r"\s*")


def element_dtype(text):
    """The numpy type of `f32`, `i1`, `ui8`, `index`, …"""
    if text in _FLOATS:
        return np.dtype(_FLOATS[text])
    if text in _NARROW:
        import ml_dtypes
        return np.dtype(getattr(ml_dtypes, _NARROW[text]))
    if text == "i1":
        return np.dtype(bool)
    if text == "index":
        return np.dtype(np.int64)
    match = re.fullmatch(r"([us]?)i(8|16|32|64)", text)
    if not match:
        raise ValueError(f"there is no numpy type for {text}")
    return np.dtype(("u" if match[1] == "u" else "") + "int" + match[2])


class ShapedType:
    """`tensor<?x8xf32>` or a memref or vector: sizes, None where unknown."""

    def __init__(self, text):
        inner = text[text.index("<") + 1:text.rindex(">")].split(",")[0]
        # Not at each x: `index` has one too.
        sizes, self.element = re.fullmatch(r"((?:(?:\?|\d+)x)*)(.*)", inner).groups()
        self.shape = tuple(None if s == "?" else int(s) for s in sizes.split("x")[:-1])
        self.dtype = element_dtype(self.element)


class Block:
    def __init__(self, arguments):
        self.arguments, self.ops = arguments, []  # names, Ops


class Op:
    """One operation: `results` and `operands` are names of values."""

    def __init__(self, name):
        self.name, self.results, self.operands = name, [], []
        self.attributes, self.regions = {}, []
        self.operand_types, self.result_types = [], []

    def __getitem__(self, key):
        return self.attributes[key]

    def has(self, key):
        return key in self.attributes


class _Parser:
    def __init__(self, text):
        self.text, self.at, self.aliases = text, 0, {}

    def skip(self):
        self.at = _SPACE.match(self.text, self.at).end()

    def peek(self, what):
        self.skip()
        return self.text.startswith(what, self.at)

    def take(self, what):
        found = self.peek(what)
        if found:
            self.at += len(what)
        return found

    def expect(self, what):
        if not self.take(what):
            line = self.text.count("\n", 0, self.at) + 1
            raise ValueError(f"line {line}: expected {what!r}, found "
                             f"{self.text[self.at:self.at + 40]!r}")

    def word(self):
        self.skip()
        match = _WORD.match(self.text, self.at)
        if not match:
            self.expect("a name")
        self.at = match.end()
        return match[0]

    def balanced(self):
        """The text from an opening bracket to its partner, brackets included."""
        start, depth = self.at, 0
        while True:
            character = self.text[self.at]
            if character == '"':
                self.at = _WORD.match(self.text, self.at).end()
                continue
            if self.text.startswith(("->", ">=", "=>", "<="), self.at):
                self.at += 2
                continue
            depth += (character in "<([{") - (character in ">)]}")
            self.at += 1
            if depth == 0:
                return self.text[start:self.at]

    def listed(self, close, item):
        """Items up to `close`, which is taken."""
        items = []
        while not self.take(close):
            items.append(item())
            self.take(",")
        return items

    def type(self):
        if self.take("("):
            inputs = self.listed(")", self.type)
            self.expect("->")
            return inputs, self.result_types()
        name = self.word()
        self.skip()
        return name + (self.balanced() if self.peek("<") else "")

    def result_types(self):
        return self.listed(")", self.type) if self.take("(") else [self.type()]

    def attribute(self):
        self.skip()
        if self.take("["):
            return self.listed("]", self.attribute)
        if self.peek("{"):
            return self.dictionary()
        if self.peek('"'):
            value = self.word()[1:-1]
            if self.take(":"):
                self.type()
            return re.sub(r"\\([0-9A-F]{2})", lambda m: chr(int(m[1], 16)), value)
        if self.peek("("):
            return self.type()
        match = _NUMBER.match(self.text, self.at)
        if match:
            self.at = match.end()
            kind = self.type() if self.take(":") else "i64"
            return _scalar(match[0], kind)
        name = self.word()
        if name in ("true", "false"):
            return name == "true"
        if name == "unit":
            return True
        if name in self.aliases:
            return self.aliases[name]
        if not self.peek("<"):
            return name
        inner = self.balanced()
        if name == "dense":
            self.expect(":")
            return _dense(inner[1:-1], self.type())
        if name == "dense_resource":
            raise ValueError("a tensor in a resource is not read")
        if name == "array":
            kind, _, items = inner[1:-1].partition(":")
            return [_scalar(item, kind.strip()) for item in
                    _NUMBER.findall(items) + re.findall(r"true|false", items)]
        return name + inner

    def dictionary(self):
        def entry():
            key = self.word().strip('"')
            return key, self.attribute() if self.take("=") else True
        self.expect("{")
        return dict(self.listed("}", entry))

    def block(self):
        def argument():
            name = self.word()
            self.expect(":")
            self.type()
            if self.peek("loc("):
                self.word(), self.balanced()
            return name
        self.word()
        arguments = self.listed(")", argument) if self.take("(") else []
        self.expect(":")
        return Block(arguments)

    def region(self):
        self.expect("{")
        blocks = []
        while not self.take("}"):
            if self.peek("^"):
                blocks.append(self.block())
            else:
                if not blocks:
                    blocks.append(Block([]))
                blocks[-1].ops.append(self.op())
        return blocks

    def op(self):
        results = []
        if self.peek("%"):
            while True:
                name = self.word()
                count = int(self.word()) if self.take(":") else None
                results += [name] if count is None else \
                    [f"{name}#{i}" for i in range(count)]
                if not self.take(","):
                    break
            self.expect("=")
        op = Op(self.word()[1:-1])
        op.results = results
        self.expect("(")
        op.operands = self.listed(")", self.word)
        if self.take("["):
            self.listed("]", self.word)
        if self.take("<"):
            op.attributes.update(self.dictionary())
            self.expect(">")
        if self.take("("):
            op.regions = self.listed(")", self.region)
        if self.peek("{"):
            op.attributes.update(self.dictionary())
        self.expect(":")
        op.operand_types, op.result_types = self.type()
        if self.peek("loc("):
            self.word(), self.balanced()
        return op

    def module(self):
        while self.peek("#"):
            name = self.word()
            self.expect("=")
            self.aliases[name] = self.attribute()
        return self.op()


def _scalar(text, kind):
    if kind in ("f16", "f32", "f64", "bf16"):
        dtype = element_dtype(kind)
        if text.startswith("0x"):
            bits = int(text, 16).to_bytes(dtype.itemsize, "little")
            return np.frombuffer(bits, dtype)[0]
        return dtype.type(float(text))
    return {"true": 1, "false": 0}[text] if text in ("true", "false") \
        else int(text, 0)


def _dense(text, kind):
    shaped = ShapedType(kind)
    shape, dtype = shaped.shape, shaped.dtype
    text = text.strip()
    if text.startswith('"'):
        data = bytes.fromhex(text.strip('"')[2:])
        if shaped.element == "i1":  # packed
            bits = np.unpackbits(np.frombuffer(data, "u1"), bitorder="little")
            values = bits[:max(1, int(np.prod(shape)))].astype(bool)
        else:
            values = np.frombuffer(data, dtype)
    else:
        items = re.findall(r"true|false|" + _NUMBER.pattern, text)
        kind = shaped.element if shaped.element in (*_FLOATS, "bf16") else "i64"
        values = np.array([_scalar(item, kind) for item in items], dtype)
    if values.size == 1:
        return np.broadcast_to(values.reshape(()), shape)
    return values.reshape(shape)


def parse(text):
    """The outermost op, the module, of a text in generic form."""
    return _Parser(text).module()
