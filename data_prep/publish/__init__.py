"""`reel publish`: to the Hugging Face Hub."""
