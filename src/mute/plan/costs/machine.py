"""What work takes on a machine: seconds, from operations and overheads; nothing here knows a study.

The constants were measured on the default study, one core of a shared machine with two, and checked against other
studies: benchmarks/results/costs.json. A GPU's speed is an assumption of the configuration, and nobody measured it.
"""

from dataclasses import dataclass

from mute.config.sections import CostsSection
from mute.plan.costs.work import Work

# Steps of gradients reach less of a machine's speed than forward passes alone: measured at 70 to 80 on a core.
_GRADIENTS = 70 / 75
# Launching one block on one batch from Python; answers put into tables; both on the CPU, whatever the device is.
_LAUNCH, _QUESTION = 0.3e-3, 0.1e-3
# One value of a row of logits, compared and summed: on a core, and at a GPU's memory bandwidth.
_LOGIT_CORE, _LOGIT_GPU = 5e-9, 1e-11
# Starting Python with torch, and opening a small model.
_START = 3.3
# Bytes a second at which weights come from disk, and reach a GPU.
_LOAD = 1e9
# Starting up on a GPU.
_GPU_START = 15.0


@dataclass(frozen=True)
class Machine:
    """A core or a GPU: `flops` operations a second reached in forward passes, `logit` seconds for each value."""

    flops: float
    logit: float
    start: float

    def seconds(self, work: Work, loaded: float = 0) -> float:
        """Seconds of a job that opens `loaded` bytes of weights and does `work`."""
        spent = (work.flops + work.gradients / _GRADIENTS) / self.flops
        spent += work.passes * _LAUNCH + work.logits * self.logit + work.questions * _QUESTION
        return self.start + loaded / _LOAD + spent


def core(section: CostsSection) -> Machine:
    return Machine(section.core_gflops * 1e9, _LOGIT_CORE, _START)


def gpu(section: CostsSection) -> Machine:
    return Machine(section.gpu_tflops * 1e12 * section.gpu_utilisation, _LOGIT_GPU, _GPU_START)
