"""Features of videos: how they are described, checked, stored as Parquet shards, cut into clips and split."""
