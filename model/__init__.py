"""Gated networks in PyTorch: training, quantisation-aware training, ONNX export.

Raises MissingPackageError where PyTorch is not installed.
"""

from penstock.program.entry import explain_errors
from penstock.program.optional import require

explain_errors()
require("torch")  # before a module of this package fails with less of an explanation

from penstock.model.backbones import BackboneConfig, parse_backbone
from penstock.model.checkpoint import Checkpoint, load_checkpoint
from penstock.model.config import TrainConfig
from penstock.model.data import Dataset, load_dataset
from penstock.model.dense_geometry import DenseNetConfig, parse_densenet
from penstock.model.errors import CheckpointError, ConfigError, DataError, ModelError
from penstock.model.evaluation import Evaluation, evaluate
from penstock.model.export import build_float_onnx, build_onnx
from penstock.model.flow import TrainResult, export_checkpoint, train_network
from penstock.model.geometry import NetworkConfig
from penstock.model.kinds import parse_any
from penstock.model.quantize import QuantNetwork, network_gates
from penstock.model.random_network import random_images, random_network

__all__ = [
    "BackboneConfig",
    "Checkpoint",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "Dataset",
    "DenseNetConfig",
    "Evaluation",
    "ModelError",
    "NetworkConfig",
    "QuantNetwork",
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
    "parse_backbone",
    "parse_densenet",
    "random_images",
    "random_network",
    "train_network",
]
