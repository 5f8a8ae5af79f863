"""Average the weights of one run's stages and write them with what people must know about them.

    python -m colorizationnet.training.publish WEIGHTS... -o WEIGHTS.safetensors [--shares ...]

Weights that lie on one training path average to a network that is better than each of them on
photos it has not seen (Wortsman et al., "Model soups", 2022; Izmailov et al., "Averaging weights
leads to wider optima and better generalization", 2018).
"""

import argparse
from pathlib import Path

from ..model import ColorizationNet, load_model, save_model

LICENSE = "Apache-2.0; trained on openly licensed photos, each source's licence is in MODEL_CARD.md"


def average(networks: list[ColorizationNet], shares: list[float]) -> ColorizationNet:
    """The network whose every weight is the mean of theirs; ``shares`` need not sum to 1.

    Raises ``ValueError`` when there is not one positive share for each network.
    """
    if len(shares) != len(networks) or min(shares) <= 0:
        raise ValueError(f"Give {len(networks)} positive shares, one for each weights file.")
    states = [network.state_dict() for network in networks]
    total = sum(shares)
    result = ColorizationNet()
    result.load_state_dict(
        {
            key: sum(
                share / total * state[key] for share, state in zip(shares, states, strict=True)
            )
            for key in states[0]
        }
    )
    return result


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m colorizationnet.training.publish", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("weights", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--shares", type=float, nargs="+", help="default: equal")
    parser.add_argument("--render-size", type=int, required=True, metavar="PX")
    parser.add_argument(
        "--saturation",
        type=float,
        required=True,
        help="gain on the network's chroma that its users see as 1",
    )
    parser.add_argument(
        "--tint",
        type=float,
        required=True,
        help="share, 0 to 1, of a picture's mean chroma that the natural look keeps",
    )
    parser.add_argument("--quality", choices=("best", "full", "fast"), default="full")
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--figures", required=True)
    parser.add_argument("--license", default=LICENSE)
    args = parser.parse_args(arguments)
    networks = [load_model(path) for path in args.weights]
    network = average(networks, args.shares or [1.0] * len(networks))
    names = ("render_size", "saturation", "tint", "quality", "recipe", "data", "figures", "license")
    metadata = {name: str(getattr(args, name)) for name in names}
    save_model(network, args.output, metadata | {"clean": "yes"})


if __name__ == "__main__":
    main()
