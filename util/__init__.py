"""Pure pieces that know no model, dataset or option."""
