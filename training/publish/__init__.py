"""`reel publish model`: a model's card, the files that travel, and bringing them to the Hugging Face Hub."""
