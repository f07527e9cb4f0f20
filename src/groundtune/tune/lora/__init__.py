"""Causal models trained further: LoRA, QLoRA, full and DPO."""
