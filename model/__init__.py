"""Gated networks in PyTorch: training, quantisation-aware training, ONNX export.

Raises MissingPackageError where PyTorch is not installed.
"""

from penstock.program.base.entry import explain_errors
from penstock.program.base.optional import require

explain_errors()
require("torch")  # before a module of this package fails with less of an explanation

from penstock.model.checkpoint.export import export_checkpoint
from penstock.model.checkpoint.file import Checkpoint, load_checkpoint
from penstock.model.data.dataset import Dataset
from penstock.model.data.load import load_dataset
from penstock.model.errors import CheckpointError, ConfigError, DataError, ModelError
from penstock.model.export.networks import build_float_onnx, build_onnx
from penstock.model.networks.densenet import DenseNetConfig
from penstock.model.networks.registry import parse_any
from penstock.model.networks.resnet_config import ResNetConfig
from penstock.model.quantize.random_network import random_images, random_network
from penstock.model.quantize.twin import QuantNetwork, network_gates
from penstock.model.train.config import TrainConfig
from penstock.model.train.evaluation import Evaluation, evaluate
from penstock.model.train.flow import TrainResult, train_network

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Dataset",
    "DenseNetConfig",
    "Evaluation",
    "ModelError",
    "QuantNetwork",
    "ResNetConfig",
    "TrainConfig",
    "TrainResult",
    "build_float_onnx",
    "build_onnx",
    "evaluate",
    "export_checkpoint",
    "load_checkpoint",
    "load_dataset",
    "network_gates",
    "parse_any",
    "random_images",
    "random_network",
    "train_network",
]
