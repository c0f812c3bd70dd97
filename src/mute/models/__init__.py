"""Models: what their parts are called, how the embedded ones are trained, and how patches change them."""
