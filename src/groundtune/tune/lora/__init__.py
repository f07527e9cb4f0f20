"""Fine-tune causal models: LoRA, QLoRA, full and DPO."""
