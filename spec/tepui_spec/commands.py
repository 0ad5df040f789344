"""Commands of the contract: `tepui validate | crd | explain | recipes | models`."""

import argparse
import sys

SubParsers = argparse._SubParsersAction  # argparse has no public name for it


def register(subparsers: "SubParsers[argparse.ArgumentParser]") -> None:
    """Add the commands; whatever takes time to import waits until one runs."""
    validate = subparsers.add_parser("validate", help="check experiment files without running anything")
    validate.add_argument("files", nargs="+", metavar="FILE", help="YAML file of an ExperimentSpec")
    validate.set_defaults(run=_validate)

    crd = subparsers.add_parser("crd", help="print the CustomResourceDefinition, for kubectl apply -f -")
    crd.set_defaults(run=_crd)

    explain = subparsers.add_parser("explain", help="describe a field, as kubectl explain does")
    explain.add_argument("field", nargs="?", default="spec", metavar="FIELD.PATH", help="such as spec.sweep.grid")
    explain.set_defaults(run=_explain)

    recipes = subparsers.add_parser("recipes", help="list the built-in training recipes")
    recipes.add_argument("name", nargs="?", help="print one recipe in full")
    recipes.set_defaults(run=_recipes)

    models = subparsers.add_parser("models", help="list timm's models, with parameters and FLOPs where known")
    models.add_argument("pattern", nargs="?", default="*", help="such as 'vit_*_patch16_224'")
    models.add_argument("--image-size", type=int, default=224, help="pixels (default: 224)")
    models.add_argument("--classes", type=int, default=1000, help="classes of the head (default: 1000)")
    models.set_defaults(run=_models)


def _validate(args: argparse.Namespace) -> int:
    from tepui_spec.errors import SourceError
    from tepui_spec.expand import expand
    from tepui_spec.source import load_experiment

    failed = False
    for file in args.files:
        try:
            experiment = load_experiment(file)
            trials = len(expand(experiment.spec))
        except SourceError as error:
            print(error, file=sys.stderr)
            failed = True
        else:
            tasks = len(experiment.spec.evaluation.tasks)
            print(f"{file}: ok: {experiment.metadata.name}, {trials:,} trials, {tasks} downstream tasks")
    return 2 if failed else 0


def _crd(_: argparse.Namespace) -> int:
    from tepui_spec.crd import custom_resource_definition
    from tepui_spec.yaml_text import to_yaml

    print(to_yaml(custom_resource_definition()), end="")
    return 0


def _explain(args: argparse.Namespace) -> int:
    from tepui_spec.explain import explain

    print(explain(args.field))
    return 0


def _recipes(args: argparse.Namespace) -> int:
    from tepui_spec.explain import recipe_table, recipe_text

    print(recipe_table() if args.name is None else recipe_text(args.name))
    return 0


def _models(args: argparse.Namespace) -> int:
    from tepui_spec.explain import model_table

    print(model_table(args.pattern, image_size=args.image_size, num_classes=args.classes))
    return 0
