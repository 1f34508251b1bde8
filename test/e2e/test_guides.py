"""The commands of a guide, in order, and what it says that they print."""
import os
import pathlib
import re
import subprocess
import sys

import pytest
from conftest import BUILD, ROOT

GUIDE = ROOT / "docs/guides/find-a-wrong-number.md"
NUMBER = r"-?[0-9]+(\.[0-9]+)?(e[-+]?[0-9]+)?"


def steps(text):
    """Each command with the lines that follow it; [N] at the end is its status."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.M | re.S):
        for command, lines in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.M):
            status = re.search(r"^\[(\d+)\]\n\Z", lines, re.M)
            yield command, lines[:status.start()] if status else lines, int(status[1]) if status else 0


def pattern(lines):
    """What is printed: any digits for digits, anything for three dots."""
    text = re.sub(r"\d+(\.\d+)?(e-?\d+)?", "\0", lines)
    return re.escape(text).replace(re.escape("\0"), NUMBER).replace(r"\-" + NUMBER, NUMBER) \
        .replace(r"\.\.\.", r"[\s\S]*?").replace(r"\ ", r"\s+")


@pytest.mark.skipif(not (BUILD / "bin/tenon-reduce").exists(), reason="needs the tools")
def test_find_a_wrong_number(tmp_path):
    # The guide starts at the root of a checkout; what it writes stays here.
    (tmp_path / "build").mkdir()
    (tmp_path / "build/release").symlink_to(BUILD.resolve())
    for folder in ("examples", "scripts"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    environment = dict(os.environ, PATH=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")
    script, expected = "", []
    for number, (command, lines, status) in enumerate(steps(GUIDE.read_text())):
        script += f"{command} >{number}.out; echo $? >{number}.status\n"
        expected.append((command, lines, status))
    assert len(expected) >= 9
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
    for number, (command, lines, status) in enumerate(expected):
        printed = (tmp_path / f"{number}.out").read_text()
        assert int((tmp_path / f"{number}.status").read_text()) == status, f"{command}\n{printed}{done.stderr}"
        assert re.fullmatch(pattern(lines), printed), f"{command}\nprinted:\n{printed}\nguide:\n{lines}"
