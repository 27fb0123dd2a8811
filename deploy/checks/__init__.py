"""Says what is wrong with rendered manifests that are valid by their schemas all the same."""
