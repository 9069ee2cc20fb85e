"""Any traced PyTorch module as the hardware computes it."""

from penstock.model.quantize.network import QatNetwork
from penstock.model.quantize.prepare import prepare_qat

__all__ = ["QatNetwork", "prepare_qat"]
