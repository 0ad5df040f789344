"""Real images from installed packages, written as Parquet shards with a card: the quickstart's data."""
