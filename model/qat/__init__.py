"""Any traced PyTorch module as the hardware computes it: its quantised twin and its export."""

from penstock.model.qat.export import export_qat
from penstock.model.qat.network import QatNetwork
from penstock.model.qat.prepare import prepare_qat

__all__ = ["QatNetwork", "export_qat", "prepare_qat"]
