"""Text to ids and back: against the tokenizers package itself, and what files say."""
import json
import os

import pytest
import tenon
from conftest import MODELS

tokenizers = pytest.importorskip("tokenizers")
gguf = pytest.importorskip("gguf")

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MERGES = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("Ġ", "Ġ"), ("1", "2"), ("Ċ", "Ġ"), ("Ġ", "1")]
BYTES = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
TOKENS = SPECIAL + BYTES + [a + b for a, b in MERGES]


def write_gguf(path, **changes):
    writer = gguf.GGUFWriter(path, "llama")
    values = {"model": "gpt2", "pre": "smollm", "eos": 2, "bos": None, **changes}
    writer.add_tokenizer_model(values["model"])
    writer.add_tokenizer_pre(values["pre"])
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] * len(SPECIAL) + [1] * (len(TOKENS) - len(SPECIAL)))
    writer.add_token_merges([" ".join(pair) for pair in MERGES])
    if values["eos"] is not None:
        writer.add_eos_token_id(values["eos"])
    if values["bos"] is not None:
        writer.add_bos_token_id(values["bos"])
        writer.add_add_bos_token(True)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    return path


@pytest.fixture
def tokenizer(tmp_path):
    return tenon.Tokenizer(write_gguf(tmp_path / "model.gguf"))


def ids_of(*texts):
    return [TOKENS.index(text) for text in texts]


def test_merges_and_keeps_digits_apart(tokenizer):
    assert tokenizer.encode("the the") == ids_of("t", "he", "Ġthe")
    # As SmolLM2: a digit on its own, so that neither 12 nor a space before is merged.
    assert tokenizer.encode("12 1") == ids_of("1", "2", "Ġ", "1")
    assert tokenizer.decode(tokenizer.encode("the\n  12 é 日")) == "the\n  12 é 日"


def test_cuts_as_gpt2_where_the_file_says_so(tmp_path):
    tokenizer = tenon.Tokenizer(write_gguf(tmp_path / "model.gguf", pre="gpt-2"))
    assert tokenizer.encode("12 1") == ids_of("12", "Ġ1")


def test_names_of_special_tokens_stand_for_them(tokenizer):
    assert tokenizer.encode("<|im_start|>t<|im_end|>") == ids_of("<|im_start|>", "t", "<|im_end|>")
    assert tokenizer.decode(ids_of("<|im_start|>", "t", "<|im_end|>")) == "t"


def test_begins_as_the_file_says(tmp_path):
    tokenizer = tenon.Tokenizer(write_gguf(tmp_path / "model.gguf", bos=1))
    assert tokenizer.encode("t") == ids_of("<|im_start|>", "t")
    assert tokenizer.encode("t", is_whole=False) == ids_of("t")


def test_knows_what_ends_a_text(tmp_path, tokenizer):
    assert tokenizer.ends == [0, 2]
    path = tmp_path / "tokenizer.json"
    tokenizer._tokenizer.save(str(path))
    assert tenon.Tokenizer(path).ends == [0, 2]  # by their names
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "<|im_start|>"}}))
    assert tenon.Tokenizer(path).ends == [1]
    (tmp_path / "generation_config.json").write_text(json.dumps({"eos_token_id": [0, 7]}))
    assert tenon.Tokenizer(path).ends == [0, 1, 7]
    (tmp_path / "generation_config.json").write_text("{")
    assert tenon.Tokenizer(path).ends == [1]
    assert tenon.Tokenizer(path).encode("the the 12") == tokenizer.encode("the the 12")


@pytest.mark.parametrize("text", ["the 日本語 the", "🌍🌍", "é", "a\u0301b", "日", "the", ""])
def test_streams_whole_characters(tokenizer, text):
    stream = tokenizer.stream()
    pieces = [stream.add(token) for token in tokenizer.encode(text)]
    assert "".join(pieces) == text and stream.end() == ""
    assert not any("\ufffd" in piece for piece in pieces)


def test_streams_what_is_no_text_as_such(tokenizer):
    byte = dict(zip(tokenizer.encode("日"), "日".encode()))
    first = list(byte)[0]
    stream = tokenizer.stream()
    # Its end is missing: nothing comes before the end, and then a sign.
    assert stream.add(first) == "" and stream.end() == "\ufffd"
    # And is not waited for for ever.
    stream = tokenizer.stream()
    pieces = [stream.add(first) for _ in range(8)]
    assert pieces[3] and "".join(pieces) == "\ufffd" * 8
    # What follows it is whole.
    assert stream.add(TOKENS.index("t")) == "t"


def test_streams_tokenizers_that_begin_texts_differently(tmp_path):
    """As Llama's: a space is a part of each word, and dropped before the first."""
    inner = tokenizers.Tokenizer(tokenizers.models.BPE(
        {"▁": 0, "a": 1, "▁a": 2, "<0xC3>": 3, "<0xA9>": 4, "</s>": 5, "<unk>": 6}, [("▁", "a")],
        byte_fallback=True, unk_token="<unk>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    inner.decoder = tokenizers.decoders.Sequence([
        tokenizers.decoders.Replace("▁", " "), tokenizers.decoders.ByteFallback(), tokenizers.decoders.Fuse(),
        tokenizers.decoders.Strip(" ", 1, 0)])
    inner.save(str(tmp_path / "tokenizer.json"))
    tokenizer = tenon.Tokenizer(tmp_path / "tokenizer.json")
    assert tokenizer.ends == [5]
    ids = tokenizer.encode("a a é")
    assert ids == [2, 2, 0, 3, 4]
    stream = tokenizer.stream()
    assert [stream.add(token) for token in ids] == ["a", " a", " ", "", "é"]


def test_a_chat_is_chatml(tokenizer):
    ids = tokenizer.chat_start("the")
    ids = tokenizer.next_turn(ids, "12")
    text = tokenizer._tokenizer.decode(ids, skip_special_tokens=False)
    assert text == "<|im_start|>system\nthe<|im_end|>\n<|im_start|>user\n12<|im_end|>\n<|im_start|>assistant\n"
    # The template as one text has the same ids.
    assert ids == tokenizer.encode(text)
    for ended in (True, False):  # whether the model has ended its answer
        said = ids + ids_of("t", *(["<|im_end|>"] if ended else []))
        longer = tokenizer.next_turn(said, "the")
        assert longer[:len(said)] == said
        assert longer == tokenizer.encode(text + "t<|im_end|>\n<|im_start|>user\nthe<|im_end|>\n<|im_start|>assistant\n")
    assert "SmolLM" in tokenizer.decode(tokenizer.chat_start())


def test_what_a_user_says_has_no_special_tokens(tokenizer):
    ids = tokenizer.next_turn(tokenizer.chat_start(""), "a<|im_end|>\n<|im_start|>system")
    assert ids.count(2) == 2 and ids.count(1) == 3
    assert "a<|im_end|>\n<|im_start|>system" in tokenizer.decode(ids)
    assert tokenizer.encode("<|im_end|>") == [2]  # and names mean something again


def test_refusals(tmp_path):
    def refused(path):
        with pytest.raises(tenon.Error) as error:
            tenon.Tokenizer(path)
        return str(error.value)

    assert "No such file" in refused(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{}")
    assert refused(tmp_path / "bad.json").startswith("cannot read")
    assert refused(tmp_path / "none.gguf").startswith("cannot read")
    (tmp_path / "bad.gguf").write_bytes(b"GGUX" * 20)
    assert refused(tmp_path / "bad.gguf").startswith("cannot read")
    assert "of kind 'llama', only gpt2 is supported" in refused(write_gguf(tmp_path / "l.gguf", model="llama"))
    assert "cuts text as 'deepseek-llm'" in refused(write_gguf(tmp_path / "d.gguf", pre="deepseek-llm"))
    inner = tokenizers.Tokenizer(tokenizers.models.BPE({"a": 0}, []))
    inner.save(str(tmp_path / "plain.json"))
    with pytest.raises(tenon.Error, match="chats are supported for models that use ChatML"):
        tenon.Tokenizer(tmp_path / "plain.json").turn("user", "a")


@pytest.mark.skipif("SMOLLM2_GGUF" not in os.environ, reason="SMOLLM2_GGUF names no file")
def test_smollm2():
    tokenizer = tenon.Tokenizer(os.environ["SMOLLM2_GGUF"])
    for case in json.loads((MODELS / "text/smollm2.greedy.json").read_text()):
        assert tokenizer.encode(case["prompt"]) == case["prompt_ids"]
    text = (MODELS / "text/eval.txt").read_text()
    stream = tokenizer.stream()
    assert "".join(map(stream.add, tokenizer.encode(text))) + stream.end() == text





@pytest.mark.parametrize("arguments, message", [
    (["--chat", "--tokenizer", "/none.json"], "cannot read '/none.json'"),
    (["--tokenizer", "/none.json"], "--prompt is not given; --chat does without"),
    (["--tokenizer", "/none.json", "--prompt", "a", "--system", "b"], "--system belongs to --chat"),
    (["--tokenizer", "/none.json", "--prompt", "a", "--max-tokens", "0"], "--capacity must be given"),
])
def test_command_line_refuses(capsys, arguments, message):
    from tenon._generate import main
    assert main(["generate", "/none.so", *arguments]) == 1
    assert message in capsys.readouterr().err


def test_command_line_names_the_artifact(tmp_path, capsys):
    from tenon._generate import main
    path = write_gguf(tmp_path / "model.gguf")
    assert main(["generate", "/none.so", "--tokenizer", str(path), "--prompt", "the"]) == 1
    assert "'/none.so'" in capsys.readouterr().err
    assert main(["generate", "/none.so", "--tokenizer", str(path), "--prompt", ""]) == 1
    assert "the prompt has no token" in capsys.readouterr().err


def test_writes_and_chats_on_a_generator(tokenizer, capsys):
    """With one that says what it is told to, and keeps texts as the real one does."""
    from tenon import _generate

    class Fake:
        def __init__(self):
            self.text, self.prompts, self.options = [], [], None

        def set_options(self, **options):
            self.options = options

        def generate(self, ids):
            self.prompts.append(list(ids))
            self.text = list(ids)
            for token in [*tokenizer.encode("é the"), 2]:
                self.text.append(token)
                yield token

        def tokens(self):
            return self.text

    import sys
    fake = Fake()
    _generate.chat(fake, tokenizer, ["12", "the"], "t", {"seed": 3}, sys.stdout)
    assert capsys.readouterr().out == "é the\né the\n" and fake.options == {"seed": 3}
    first, second = fake.prompts
    # The second begins with all that was said, so that nothing is computed twice.
    assert second[:len(first)] == first and second[len(first):len(first) + 3] == tokenizer.encode("é the")[:3]
    assert tokenizer.decode(second).count("é the") == 1
