"""The command `tepui operator`."""

import argparse
import re


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the `tepui` parser."""
    operator = subparsers.add_parser(
        "operator", help="run studies on a Kubernetes cluster (what the Helm chart starts)"
    )
    operator.add_argument(
        "--namespace", action="append", default=[], metavar="NS", type=_name, help="work here only; may be repeated"
    )
    operator.add_argument("--leader-elect", action="store_true", help="act only while this replica holds the lease")
    operator.add_argument(
        "--lease-namespace", metavar="NS", type=_name, help="namespace of the lease (default: the pod's own)"
    )
    operator.add_argument(
        "--lease-name", metavar="NAME", default="tepui-operator", type=_name, help="name of the lease"
    )
    operator.add_argument("--metrics-port", type=_port, metavar="PORT", help="serve /metrics here (default: not)")
    operator.add_argument(
        "--health-port", type=_port, metavar="PORT", help="serve /healthz and /readyz here (default: not)"
    )
    operator.add_argument(
        "--default-mlflow-uri", metavar="URI", type=_server, help="where studies are tracked that name no MLflow server"
    )
    operator.add_argument("--log-format", choices=("json", "text"), default="json", help="for machines, or for people")
    operator.add_argument("--log-level", choices=("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO")
    operator.set_defaults(run=_run)


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no Kubernetes name: lower-case letters, digits, '-' and '.'")
    return text


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port from 1 to 65535")
    return int(text)


def _server(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a server: it begins with http:// or https://")
    return text


def _run(args: argparse.Namespace) -> int:
    from tepui_operator.cluster.serving import Options, serve_operator

    return serve_operator(
        Options(
            namespaces=tuple(dict.fromkeys(args.namespace)),
            leader_elect=args.leader_elect,
            lease_namespace=args.lease_namespace,
            lease_name=args.lease_name,
            metrics_port=args.metrics_port,
            health_port=args.health_port,
            default_mlflow_uri=args.default_mlflow_uri,
            log_format=args.log_format,
            log_level=args.log_level,
        )
    )
