"""`penstock search`: how to split a static network into stages, by reinforcement learning."""

from dataclasses import asdict
from pathlib import Path

import rich_click as click

from penstock.cli.commands.train import parse_widths
from penstock.cli.compiled import SEED
from penstock.cli.errors import load
from penstock.cli.output import STDOUT, emit, json_option, table

SHOWN = 5  # plans in the table


@click.command(
    epilog="""Examples:\n
    penstock search --network resnet8 --dataset digits --candidates 24 -o build/digits.json\n
    penstock search --init r20.pt --data-dir data/ --precision bf16 -o build/r20.json\n
    penstock search --init r20.pt --data-dir data/ --workers 8 -o build/r20.json --resume
    """
)
@click.option("--network", default="resnet20", show_default=True, help="The static network.")
@click.option("--dataset", default="cifar10", show_default=True, help="digits or cifar10.")
@click.option("--data-dir", type=click.Path(path_type=Path), help="CIFAR-10's binary files.")
@click.option(
    "--init", type=click.Path(path_type=Path), help="Checkpoint of the static network, trained."
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Best plan.")
@click.option("--candidates", default=60, show_default=True, help="Plans to try.")
@click.option("--batch", default=6, show_default=True, help="Plans between updates of the policy.")
@click.option("--steps", default=40, show_default=True, help="Training steps of each plan.")
@click.option("--batch-size", default=128, show_default=True)
@click.option("--lr", default=0.05, show_default=True, help="Learning rate of those steps.")
@click.option(
    "--images", default=2000, show_default=True, help="Held-out images that rewards come from."
)
@click.option("--exponent", default=-0.06, show_default=True, help="w of the reward ACC x COST^w.")
@click.option("--mac-bound", type=float, help="Share of the dense MACs that the best may execute.")
@click.option("--stages", default=3, show_default=True)
@click.option("--groups", default=8, show_default=True, help="Groups of a layer's channels.")
@click.option("--widths", metavar="A,B,C", help="Channels of the resolutions, such as 16,32,64.")
@click.option("--precision", type=click.Choice(["fp32", "bf16"]), default="fp32")
@click.option("--workers", default=1, show_default=True, help="Processes.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--resume", is_flag=True, help="Go on where an interrupted search stopped.")
@json_option
def search(
    network: str,
    dataset: str,
    data_dir: Path | None,
    init: Path | None,
    output: Path,
    candidates: int,
    batch: int,
    steps: int,
    batch_size: int,
    lr: float,
    images: int,
    exponent: float,
    mac_bound: float | None,
    stages: int,
    groups: int,
    widths: str | None,
    precision: str,
    workers: int,
    seed: int,
    resume: bool,
    json_to: str | None,
) -> None:
    """Search for the stages of S2DNAS, for `split` in a recipe of `penstock train`.

    A recurrent policy writes plans; each is trained for some steps from the static network's
    weights and judged on held-out images at its best thresholds. The same settings and seed give
    the same plans, with any number of workers. OUTPUT's neighbours *.jsonl and *.resume are the
    plans tried and the state that --resume goes on from, also to more --candidates.
    """
    candidate = load("penstock.model.search.candidate")
    trial = candidate.Trial(
        network=network,
        dataset=dataset,
        data_dir=data_dir,
        init=init,
        widths=None if widths is None else parse_widths(widths),
        steps=steps,
        batch_size=batch_size,
        lr=lr,
        images=images,
        exponent=exponent,
        precision=precision,
        seed=seed,
    )
    module = load("penstock.model.search.run")
    config = module.SearchConfig(
        trial=trial,
        candidates=candidates,
        batch=batch,
        stages=stages,
        groups=groups,
        mac_bound=mac_bound,
        workers=workers,
        out=output,
        resume=resume,
        quiet=json_to == STDOUT,
    )
    result = module.search(config)
    columns = ("reward", "accuracy", "MACs", "ends, %")  # of the images, at each stage
    shown = table(f"{network} on {dataset}, {len(result.tried)} plans -> {output}", "", *columns)
    best = {score.split: score for score in result.tried}
    for score in sorted(best.values(), key=lambda score: -score.reward)[:SHOWN]:
        shares = "/".join(f"{100 * share:.0f}" for share in score.shares)
        figures = (f"{score.reward:.4f}", f"{score.accuracy:.2%}", f"{score.mac_ratio:.3f}", shares)
        shown.add_row(score.split, *figures)
    named = {"network": network, "dataset": dataset, "seed": seed, "plans": len(best)}
    emit({**named, "output": str(output), **asdict(result.best)}, json_to, shown)
