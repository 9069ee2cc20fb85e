"""Files made to do harm: each a small network with one thing about it that is illegal or huge.

An attack gets the folder it may fill and gives the file to read; `ATTACKS` names them all.
"""

from tests.fuzz.attacks import growth, numbers, places, sizes, structure
from tests.fuzz.attacks.registry import ATTACKS, Attack

__all__ = ["ATTACKS", "Attack", "growth", "numbers", "places", "sizes", "structure"]
