"""Backbones: names, fingerprints, tokenizers, templates, what ends a turn, and what a model runs on."""
