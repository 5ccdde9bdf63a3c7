"""Magics, forms and drawing: what a person sees of rpnb in a notebook."""
