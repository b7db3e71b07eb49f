"""Pretraining and adversarial training."""
