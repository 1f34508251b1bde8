"""Fails when no test has the message of an error in it.

Of each message its longest literal is looked for. What a file system, a linker or LLVM
refuses (Target, Compiler) is left out, and the runtime, whose errors are no diagnostics."""
import pathlib, re, sys

root, bad = pathlib.Path(sys.argv[1]), 0
REPORTS = re.compile(r"\b(?:emitOpError|emitError|invalid|unsupported|refuse)\(")
TOKEN = re.compile(r'"((?:[^"\\\n]|\\.)*)"|;|//.*')
FOLDERS = "Analysis Conversion Dialect Import Kernels Pipelines Recipe Weights".split()
tests = "\n".join(path.read_text() for path in sorted((root / "test").rglob("*"))
                  if path.suffix in (".mlir", ".textproto", ".py", ".cpp"))


def literals(statement):
    """Those up to the semicolon, neighbours joined as C++ does."""
    found, end = [""], 0
    for token in TOKEN.finditer(statement):
        if token[0] == ";":
            break
        if statement[end:token.start()].strip():
            found.append("")
        found[-1] += token[1] or ""
        end = token.end()
    return found


for path in sorted(path for folder in FOLDERS for path in (root / "lib" / folder).rglob("*.cpp")):
    text = path.read_text()
    for report in REPORTS.finditer(text):
        message = max(literals(text[report.end():]), key=len).replace('\\"', '"').strip()
        if message not in tests:
            number = text.count("\n", 0, report.start()) + 1
            print(f"{path.relative_to(root)}:{number}: no test has '{message}'")
            bad = 1
sys.exit(bad)
