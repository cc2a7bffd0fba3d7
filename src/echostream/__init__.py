"""echostream sends an HTTP response while it is being made, and never loses the place."""
