"""What the fork server preloads must leave its pods as if they had imported it themselves."""

import os
import subprocess
import sys

PRELOAD = """
import torch

def poison():
    raise SystemExit("asked the CUDA driver, which no forked pod can use any more")

torch._C._cuda_getDeviceCount = poison
torch.cuda._device_count_nvml = lambda: 0
import tepui_trainer.preload
"""


def test_preloading_does_not_wake_cuda() -> None:
    """The driver, once asked, cannot be used after a fork: whether there is a GPU is asked of NVML alone."""
    environ = {name: value for name, value in os.environ.items() if name != "DS_ACCELERATOR"}
    done = subprocess.run([sys.executable, "-c", PRELOAD], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
