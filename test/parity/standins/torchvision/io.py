"""Names that transformers imports and the fixtures never call."""
ImageReadMode = decode_image = None
