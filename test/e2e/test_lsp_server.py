"""tenon-lsp-server: what an editor hears of a file with Tenon's dialects."""
import json
import subprocess

from conftest import BUILD

GOOD = """func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.tanh %x : tensor<4xf32> -> tensor<4xf32>
  return %0 : tensor<4xf32>
}
"""
# The verifier of the graph dialect has something to say.
WRONG = GOOD.replace("-> tensor<4xf32>\n  return", "-> tensor<5xf32>\n  return").replace(
    "return %0 : tensor<4xf32>", "return %x : tensor<4xf32>")


def talk(messages):
    """Sends messages and returns what the server says, until it ends."""
    text = b""
    for message in messages:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        text += b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
    done = subprocess.run([BUILD / "bin/tenon-lsp-server"], input=text, capture_output=True, timeout=60)
    answers, rest = [], done.stdout
    while rest.strip():
        head, _, rest = rest.partition(b"\r\n\r\n")
        length = int(head.split(b"Content-Length:")[1].split()[0])
        answers.append(json.loads(rest[:length]))
        rest = rest[length:]
    return done.returncode, answers


def open_file(text):
    return talk([
        {"id": 1, "method": "initialize", "params": {"processId": None, "rootUri": None, "capabilities": {}}},
        {"method": "initialized", "params": {}},
        {"method": "textDocument/didOpen", "params": {"textDocument": {
            "uri": "file:///model.mlir", "languageId": "mlir", "version": 1, "text": text}}},
        {"id": 2, "method": "textDocument/hover", "params": {
            "textDocument": {"uri": "file:///model.mlir"}, "position": {"line": 1, "character": 10}}},
        {"id": 3, "method": "shutdown"},
        {"method": "exit"}])


def diagnostics(answers):
    return next(a["params"]["diagnostics"] for a in answers
                if a.get("method") == "textDocument/publishDiagnostics")


def test_answers_and_knows_the_ops():
    status, answers = open_file(GOOD)
    assert status == 0
    by_id = {a["id"]: a for a in answers if "id" in a}
    assert by_id[1]["result"]["capabilities"]["hoverProvider"]
    assert diagnostics(answers) == []
    assert "graph.tanh" in by_id[2]["result"]["contents"]["value"]


def test_reports_what_a_verifier_refuses():
    _, answers = open_file(WRONG)
    found, = diagnostics(answers)
    assert "'graph.tanh' op" in found["message"]
    assert found["range"]["start"]["line"] == 1


def test_reports_what_does_not_parse():
    _, answers = open_file(GOOD.replace("graph.tanh", "graph.nothing"))
    assert "graph.nothing" in diagnostics(answers)[0]["message"]
