"""run_example.py EXAMPLE ARGUMENT...: runs an example with the package of this
checkout, or says with 77 that it cannot."""
import pathlib
import runpy
import sys

try:
    import numpy  # noqa: F401
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
