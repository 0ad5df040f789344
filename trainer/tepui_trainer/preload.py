"""Importing this imports all that a training pod needs, for a fork server to do once (entry points `tepui.preload`).

It takes about 15 s of CPU and starts no thread: threads, OpenMP's included, would not exist in a forked pod. torch
makes its pools at the first parallel operation, which is the pod's own.
"""

import os

import timm
import torch

# asked of NVML: the CUDA driver, once asked, cannot be used by a forked pod (torch's "poison fork")
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
if not torch.cuda.is_available():
    os.environ.setdefault("DS_ACCELERATOR", "cpu")  # DeepSpeed warns where it has to find that out

import deepspeed

from tepui_trainer import mlflow_client, trial

__all__ = ["deepspeed", "mlflow_client", "timm", "torch", "trial"]
