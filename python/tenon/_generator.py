"""Goes on with texts of token ids, on an artifact made with --decoder."""
import ctypes
import operator
import typing

import numpy as np

from . import _library
from ._error import Error
from ._session import Module, _dtype

_ENDS = (None, "stop", "limit", "asked", "full")


class Statistics(typing.NamedTuple):
    """Sums over all sequences since the last reset. What `decode_nanoseconds` were
    spent on are `decoded_tokens`, those behind the first of each prompt."""
    prompt_tokens: int
    prompt_nanoseconds: int
    generated_tokens: int
    decoded_tokens: int
    decode_nanoseconds: int
    decode_steps: int
    drafted: int
    accepted: int


def _whole(value, bits, name):
    """`value` as C's integer of so many bits has it."""
    try:
        number = operator.index(value)
    except TypeError:
        raise Error(f"{name} must be an integer, is {value!r}") from None
    if not -2 ** (bits - 1) <= number < 2 ** (bits - 1):
        raise Error(f"{name} must fit {bits} bits, is {number}")
    return number


def _ids(values, name):
    """Ids as an array that C can read."""
    try:
        array = np.asarray(values if hasattr(values, "__array__") else list(values))
    except (OverflowError, TypeError, ValueError) as error:
        raise Error(f"{name} must be ids: {error}") from None
    if array.size and array.dtype.kind not in "iu":
        raise Error(f"{name} must be integers, are {array.dtype}")
    if array.ndim != 1:
        raise Error(f"{name} must have 1 dimension, have {array.ndim}")
    return np.ascontiguousarray(array, np.int64)


def _pointer(array):
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_int64))


class Generator:
    """Texts of token ids that a language model goes on with.

    `artifact` is a path or a Module of what `tenon compile --decoder` made.
    `capacity` is how many tokens a text may have, prompt and output;
    `sequences` how many texts there are, numbered from 0; `threads` as of a
    Session. Memory for all of them is taken at once.
    """

    def __init__(self, artifact, capacity, sequences=1, threads=0):
        self._decoder = self._generator = None
        self._library = library = _library.load()
        self._owner = owner = artifact if isinstance(artifact, Module) else Module(artifact)
        options = _library.DecoderOptions(
            _library.SessionOptions(_whole(threads, 32, "threads"), 0, 0),
            _whole(capacity, 64, "capacity"), _whole(sequences, 32, "sequences"))
        if sequences < 1:
            raise Error(f"sequences must be 1 or more, is {sequences}")
        decoder, generator = ctypes.c_void_p(), ctypes.c_void_p()
        _library.check(library.tn_decoder_create(
            owner._module, ctypes.byref(options), ctypes.byref(decoder)))
        self._decoder = decoder
        _library.check(library.tn_generator_create(decoder, ctypes.byref(generator)))
        self._generator = generator
        self._runs = 0

    def __del__(self):
        if getattr(self, "_generator", None):
            self._library.tn_generator_release(self._generator)
        if getattr(self, "_decoder", None):
            self._library.tn_decoder_release(self._decoder)

    @property
    def vocabulary(self):
        """Ids are below."""
        return self._library.tn_decoder_vocabulary(self._decoder)

    @property
    def capacity(self):
        return self._library.tn_decoder_capacity(self._decoder)

    @property
    def sequences(self):
        return self._library.tn_decoder_sequences(self._decoder)

    def set_options(self, sequence=0, *, max_tokens=0, stop=(), temperature=0.0,
                    top_k=0, top_p=1.0, repetition_penalty=1.0,
                    repetition_window=0, seed=0, speculate=0,
                    sliding_window=False, kept_tokens=4):
        """How a text goes on: all options anew, and random numbers from `seed`.

        `max_tokens` are those of a run, 0 for no limit. A token of `stop` ends
        the text and belongs to it. Then, in this order, the penalty of tokens
        that came already (in all of the text, or its last `repetition_window`
        tokens), `temperature` (0: the most probable token each time), `top_k`
        (0: all) and `top_p`. `speculate` is how many tokens are drafted from
        what the text has said before and checked at once: tokens do not depend
        on it. With `sliding_window` a full context loses its oldest tokens but
        the first `kept_tokens`, and what is left is computed again; without, it
        is an error.
        """
        stop = _ids(stop, "stop tokens")
        if not 0 <= _whole(seed, 65, "seed") < 2 ** 64:
            raise Error(f"seed must fit 64 bits, is {seed}")
        if kept_tokens < 1:
            raise Error(f"kept_tokens must be 1 or more, is {kept_tokens}")
        for name, value in (("top_p", top_p), ("repetition_penalty", repetition_penalty)):
            if not value > 0:  # C's 0 stands for 1
                raise Error(f"{name} must be larger than 0, is {value}")
        options = _library.GeneratorOptions(
            repetition_penalty, _whole(repetition_window, 64, "repetition_window"),
            temperature, _whole(top_k, 64, "top_k"), top_p, seed,
            _whole(max_tokens, 64, "max_tokens"), _pointer(stop), stop.size,
            _whole(speculate, 64, "speculate"), bool(sliding_window),
            _whole(kept_tokens, 64, "kept_tokens"))
        _library.check(self._library.tn_generator_set_options(
            self._generator, _whole(sequence, 32, "sequence"), ctypes.byref(options)))

    def set_prompt(self, ids, sequence=0):
        """The text to go on from. Of what it shares with the text before, from
        its beginning on, nothing is computed again."""
        ids = _ids(ids, "a prompt's ids")
        _library.check(self._library.tn_generator_set_prompt(
            self._generator, _whole(sequence, 32, "sequence"), _pointer(ids), ids.size))

    def set_input(self, name, array, sequence=0):
        """What an encoder gave for a sequence, as the model has it for a batch of 1.

        Held until it is set again: an input that is the same in all steps, keys and
        values or states. Sequences may have different lengths, without padding.
        What the sequence has computed is computed again.
        """
        number = next((i for i in range(self._library.tn_module_input_count(self._owner._module))
                       if self._library.tn_module_input_name(self._owner._module, i) == name.encode()), -1)
        kind = self._library.tn_module_input_type(self._owner._module, number)
        array = np.ascontiguousarray(array)
        if number >= 0 and array.dtype != _dtype(kind):
            raise Error(f"input {name!r} must be {_dtype(kind)}, is {array.dtype}")
        if array.ndim > len(_library.Tensor().dims):
            raise Error(f"input {name!r} has {array.ndim} dimensions, too many")
        tensor = _library.Tensor(array.ctypes.data, array.nbytes, kind, array.ndim)
        tensor.dims[:array.ndim] = array.shape
        _library.check(self._library.tn_generator_set_input(
            self._generator, _whole(sequence, 32, "sequence"), name.encode(), ctypes.byref(tensor)))

    def generate(self, ids=None, sequence=0, **options):
        """An iterator over the ids of new tokens.

        `ids` is the prompt; without, the text goes on. Options are those of
        `set_options`; without any, they stay. Leaving the loop ends the run,
        and the text with the last token that was seen.
        """
        sequence = _whole(sequence, 32, "sequence")
        if options:
            self.set_options(sequence, **options)
        if ids is not None:
            self.set_prompt(ids, sequence)
        if not self._text(sequence)[1]:
            raise Error(f"sequence {sequence} has no prompt")
        return self._iterate(sequence)

    def _iterate(self, sequence):
        library = self._library
        self._runs += 1
        run = self._runs
        _library.check(library.tn_generator_begin(self._generator, sequence))
        came, failed = [], []

        @_library.TokenCallback
        def keep(_, number, token):
            try:
                came.append(token)
                return 0
            except BaseException as error:  # Ctrl-C, which ctypes would drop
                failed.append(error)
                return 2

        more = ctypes.c_int32(1)
        try:
            while more.value:
                _library.check(library.tn_generator_step(
                    self._generator, keep, None, ctypes.byref(more)))
                if failed:
                    raise failed.pop()
                while came:
                    yield came.pop(0)
                    if self._runs != run:
                        raise Error("the run is over: another has begun")
        finally:
            # With drafts, a step may give more than was wanted.
            if came and self._runs == run:
                self.rewind(self._text(sequence)[1] - len(came), sequence)

    def run(self, callback=None):
        """Goes on with all texts at once, until each has ended.

        `callback(sequence, token)` is told each token; what it returns ends the
        sequence if it is true. It must not use this object.
        """
        failed = []
        self._runs += 1

        @_library.TokenCallback
        def tell(_, sequence, token):
            try:
                return int(bool(callback(sequence, token))) if callback else 0
            except BaseException as error:
                failed.append(error)
                return 2

        status = self._library.tn_generator_run(self._generator, tell, None)
        if failed:
            raise failed[0]
        _library.check(status)

    def stop(self):
        """Ends the run that another thread has begun, behind its step."""
        self._library.tn_generator_stop(self._generator)

    def rewind(self, position, sequence=0):
        """Forgets all behind the first `position` tokens of a text."""
        _library.check(self._library.tn_generator_rewind(
            self._generator, _whole(sequence, 32, "sequence"),
            _whole(position, 64, "position")))

    def _text(self, sequence, room=0):
        ids, count = np.empty(room, np.int64), ctypes.c_int64()
        _library.check(self._library.tn_generator_tokens(
            self._generator, _whole(sequence, 32, "sequence"), _pointer(ids), room,
            ctypes.byref(count)))
        return ids, count.value

    def tokens(self, sequence=0):
        """The text: a list of ids, prompt and output."""
        return self._text(sequence, self._text(sequence)[1])[0].tolist()

    def end(self, sequence=0):
        """Why a text does not go on: "stop", "limit", "asked", "full", or None."""
        end = ctypes.c_int32()
        _library.check(self._library.tn_generator_end(
            self._generator, _whole(sequence, 32, "sequence"), ctypes.byref(end)))
        return _ENDS[end.value]

    @property
    def statistics(self):
        result = _library.GenerationStatistics()
        _library.check(self._library.tn_generator_statistics(
            self._generator, ctypes.byref(result)))
        return Statistics(*(getattr(result, name) for name in Statistics._fields))

    def reset_statistics(self):
        _library.check(self._library.tn_generator_statistics_reset(self._generator))
