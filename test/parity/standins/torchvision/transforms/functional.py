"""Names that transformers imports and the fixtures never call."""
pil_to_tensor = None
