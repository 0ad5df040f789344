"""The contract between Tepui's parts: what a user writes, what a pod is told, what a row holds. Pydantic only."""
