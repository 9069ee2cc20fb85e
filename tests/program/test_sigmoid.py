"""The table of SIGMOID gates: what it is, and that each engine's copy is it."""

import math
import re

import numpy as np

from penstock.compiler.numerics import sigmoid_scores
from penstock.program.core.config import get_config
from penstock.program.core.sigmoid import SIGMOID_STEPS, SIGMOID_TABLE
from penstock.program.generate.cplusplus import config_header
from penstock.program.generate.systemverilog import package_text


def score(z: int) -> int:
    return SIGMOID_TABLE[z & 0xFF]


def test_every_entry_is_the_sigmoid_rounded() -> None:
    assert SIGMOID_STEPS == 16 and len(SIGMOID_TABLE) == 256
    for z in range(-128, 128):
        real = 128 / (1 + math.exp(-z / 16))
        assert abs(score(z) - real) < 0.5 - 1e-4  # nowhere near a tie: any library's exp gives it


def test_it_is_symmetric_and_ends_at_0_and_1() -> None:
    assert [score(z) + score(-z) for z in range(128)] == [128] * 128
    assert (score(0), score(88), score(89), score(-88), score(-89)) == (64, 127, 128, 1, 0)
    steps = [score(z) - score(z - 1) for z in range(-127, 128)]
    assert set(steps) == {0, 1, 2}


def test_scores_saturate() -> None:
    steps = np.array([-(1 << 40), -129, -128, -1, 0, 1, 127, 128, 1 << 40])
    assert sigmoid_scores(steps).tolist() == [0, 0, 0, 62, 64, 66, 128, 128, 128]


def test_the_copies_of_the_cores() -> None:
    header = config_header(get_config("tiny"))
    table = re.search(r"SIGMOID_TABLE\[256\] = \{(.*?)\}", header, re.DOTALL)
    assert table and tuple(map(int, re.findall(r"\d+", table[1]))) == SIGMOID_TABLE
    table = re.search(r"SIGMOID_TABLE = \{(.*?)\};", package_text(), re.DOTALL)
    digits = "".join(re.findall(r"128'h([0-9A-F]{32})", table[1])) if table else ""
    assert bytes.fromhex(digits)[::-1] == bytes(SIGMOID_TABLE)  # the last element comes first
