"""python -m tenon: what takes text, beside the program `tenon`."""
import sys

from ._generate import main

sys.exit(main())
