"""The .pyi files say of every public function and class what the code says."""
import ast
import inspect
import pathlib
import textwrap

import pytest
import tenon
import tenon.backend

FOLDER = pathlib.Path(tenon.__file__).parent


def declared(module):
    """Qualified name -> node, of all functions and classes of a stub."""
    tree = ast.parse((FOLDER / f"{module}.pyi").read_text())
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    yield f"{node.name}.{member.name}", member


def parameters(node):
    """Names with their defaults as text, "*" before those that need a name."""
    a = node.args
    defaults = [None] * (len(a.args) - len(a.defaults)) + a.defaults
    result = [(p.arg, d and ast.unparse(d)) for p, d in zip(a.args, defaults)]
    if a.kwonlyargs:
        result.append(("*", None))
    result += [(p.arg, d and ast.unparse(d)) for p, d in zip(a.kwonlyargs, a.kw_defaults)]
    return result + ([("**" + a.kwarg.arg, None)] if a.kwarg else [])


def implemented(name, owner):
    """The definition in the source that `name` of `owner` comes from."""
    found = owner
    for part in name.split("."):
        found = inspect.getattr_static(found, part)
    found = getattr(found, "__func__", None) or getattr(found, "fget", None) or found
    return ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]


CASES = [(module, name, node) for module in (tenon, tenon.backend)
         for name, node in declared("__init__" if module is tenon else "backend")]


@pytest.mark.parametrize("module, name, node", CASES, ids=lambda v: v if isinstance(v, str) else "")
def test_agrees(module, name, node):
    if isinstance(node, ast.FunctionDef):
        assert parameters(node) == parameters(implemented(name, module))
        return
    actual = inspect.getattr_static(module, name)
    assert inspect.isclass(actual)
    fields = [n.target.id for n in node.body if isinstance(n, ast.AnnAssign)]
    if issubclass(actual, tuple):
        assert tuple(fields) == actual._fields
    methods = {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
    public = {n for n, v in vars(actual).items() if not n.startswith("_") and n not in fields}
    assert public == {n for n in methods if not n.startswith("_")}


def test_declares_all_that_is_public():
    assert {name for module, name, _ in CASES if module is tenon and "." not in name} == set(tenon.__all__)
    assert (FOLDER / "py.typed").exists()
