"""Measures what the product promises about speed and size; ``python -m bench`` runs all of it. Ships with nothing."""
