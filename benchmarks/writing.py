"""Long answers written with a cache of keys and values against the plain path, which reads all anew for each token.

Both sides write the same tokens, which is checked, in turn, in one process; the ratio is the median of pairs. Models
have random weights and prompts are random tokens.

    python benchmarks/writing.py --model llama --json benchmarks/results/writing-llama.json
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import torch
import transformers

from engine import build

sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from mute.engine import writing
from mute.models.loading import find_device
from mute.store import artifacts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="llama", help="an embedded or published model, as benchmarks/engine.py")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--shrink", type=int, default=1, help="divide the sizes of a published model, to try it out")
    parser.add_argument("--answers", type=int, default=64, help="answers that are written")
    parser.add_argument("--prompt", type=int, default=20, help="tokens of a prompt; a few less in every other one")
    parser.add_argument("--tokens", type=int, default=64, help="tokens of an answer")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    model, _ = build(chosen.model, find_device(chosen.device), chosen.dtype, chosen.shrink)
    generator = torch.Generator().manual_seed(0)
    lengths = [max(2, chosen.prompt - 3 * (i % 2)) for i in range(chosen.answers)]
    prompts = [torch.randint(3, model.config.vocab_size, (n,), generator=generator).tolist() for n in lengths]

    def write(plain: bool) -> tuple[float, list[list[int]]]:
        said: list[list[int]] = [[] for _ in prompts]

        def hear(i: int, token: int) -> bool:
            said[i].append(token)
            return len(said[i]) < chosen.tokens

        started = time.perf_counter()
        writing.write(model, prompts, [chosen.tokens] * len(prompts), hear, plain=plain)
        return time.perf_counter() - started, said

    pairs = []
    for turn in range(chosen.pairs + 1):
        (slow, one), (fast, other) = write(plain=True), write(plain=False)
        same = sum(a == b for a, b in zip(one, other))
        # The first pair warms up.
        if turn:
            pairs.append((slow, fast))
    plain, cached = (statistics.median(side) for side in zip(*pairs))
    ratio = statistics.median(slow / fast for slow, fast in pairs)
    print(f"{chosen.answers} answers of {chosen.tokens} tokens after {chosen.prompt}, {chosen.model} on {model.device}")
    print(f"plain {plain:.2f} s, cached {cached:.2f} s, {ratio:.1f} x faster; {same} of {len(prompts)} are the same")
    if chosen.json:
        machine = {
            "device": torch.cuda.get_device_name() if model.device.type == "cuda" else model.device.type,
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__.split("+")[0],
            "transformers": transformers.__version__,
        }
        settings = {k: v for k, v in vars(chosen).items() if k not in ("json", "device")}
        found = {"plain": round(plain, 3), "cached": round(cached, 3), "ratio": round(ratio, 2), "same": same}
        artifacts.write_json(chosen.json, {**settings, **found, "machine": machine})


if __name__ == "__main__":
    main()
