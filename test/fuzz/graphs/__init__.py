"""Random graphs, one file per family of operators; see ../fuzz_graphs.py."""
