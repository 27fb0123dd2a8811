"""The public interface of genservice, generated from `protos/` by `make proto`."""
