"""One pre-training trial: data, model, DeepSpeed engine, checkpoints, tracking. Never imports Kubernetes."""
