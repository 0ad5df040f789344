"""What the reader is made of: storage, sources, order, augmentation, decoding. `tepui_trainer.data` is its face."""
