"""The author API: what a model is made of. Its public names are exported by `genservice`."""
