"""A local stand-in for Notion's public REST API. It shares no code with the product: so it can disagree."""
