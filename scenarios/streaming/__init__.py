"""What the stream applications share: settings, the lines that they say, their quixstreams application."""
