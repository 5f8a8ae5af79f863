"""ColorizationNet: colour for black-and-white photos and film."""
