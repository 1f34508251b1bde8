"""run_pytest.py TEST...: runs pytest, or says with 77 that it cannot."""
import sys

try:
    import numpy  # noqa: F401
    import pytest
except ImportError as error:
    print("skipped:", error)
    sys.exit(77)
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", *sys.argv[1:]]))
