"""What has a lifetime: generators, embedders, the trainer, and the factories that open them."""
