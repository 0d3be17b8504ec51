"""What a GPU does: sampling, scoring, embedding and tuning on models of real shape with random weights."""
