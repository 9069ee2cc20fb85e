"""`python -m penstock.model.zoo CHECKPOINT NAME --command ...`: into the zoo."""

import argparse
import json
import sys
from pathlib import Path

from penstock.model.errors import ModelError
from penstock.model.zoo import add_to_zoo, zoo_card


def main() -> int:
    """Export, write the card, print its figures."""
    parser = argparse.ArgumentParser(prog="python -m penstock.model.zoo", description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("name")
    parser.add_argument(
        "--evaluation", type=Path, required=True, help="of penstock evaluate CHECKPOINT --json"
    )
    parser.add_argument("--command", action="append", required=True, help="what trained it")
    arguments = parser.parse_args()
    try:
        evaluation = json.loads(arguments.evaluation.read_text(encoding="utf-8"))
        add_to_zoo(arguments.checkpoint, arguments.name, evaluation, arguments.command)
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    card = zoo_card(arguments.name)
    for figure, value in (card["metrics"] | card["accuracy"]).items():
        print(f"{figure}: {value:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
