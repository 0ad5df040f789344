"""`tepui data`: make the quickstart's datasets, and show what a dataset holds."""

import argparse

QUICKSTART_URI = "data/quickstart"


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `tepui data`; imports nothing heavy."""
    data = subparsers.add_parser("data", help="prepare and inspect datasets")
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")

    quickstart = actions.add_parser("quickstart", help="make the quickstart's datasets from installed packages")
    quickstart.add_argument("--out", default=QUICKSTART_URI, metavar="DIR", help="folder or URI (default: %(default)s)")
    quickstart.add_argument("--again", action="store_true", help="write also what is up to date")
    quickstart.set_defaults(run=_quickstart)

    show = actions.add_parser("show", help="print a dataset's card")
    show.add_argument("uri", metavar="URI", help="folder or URI with a card.json")
    show.add_argument("--verify", action="store_true", help="also read every shard and compare its SHA-256")
    show.add_argument("--json", action="store_true", help="print the card as JSON")
    show.set_defaults(run=_show)


def _quickstart(args: argparse.Namespace) -> int:
    from tepui_trainer.datasets.quickstart import Made, make_quickstart

    def report(made: Made) -> None:
        counts = ", ".join(f"{split.images:,} {name}" for name, split in made.card.splits.items())
        size_mb = sum(shard.size_bytes for split in made.card.splits.values() for shard in split.shards) / 1e6
        state = "written" if made.written else "up to date"
        print(
            f"{made.uri}: {counts} images, {len(made.card.class_names)} classes, {size_mb:.1f} MB, {state}", flush=True
        )

    make_quickstart(args.out, report, again=args.again)
    return 0


def _show(args: argparse.Namespace) -> int:
    from tepui_trainer.datasets.show import card_of, card_text, verify

    card = card_of(args.uri)
    if args.verify:
        verify(args.uri, card)
    print(card.model_dump_json(indent=1) if args.json else card_text(args.uri, card))
    return 0
